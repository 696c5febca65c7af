"""What people read of an alert, in Chinese and English.

Here: sentences. Not here: when an alert is raised (`core.watches`), where it is shown (`cli`,
`alarms`). What to do about each: `docs/alerts.md`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.domain.alert import Alert
from gateway.domain.store import Store
from gateway.words import Lang, place, quantity, say

NAME: Final[Mapping[str, tuple[str, str]]] = {
    "low_stock": ("库存不足", "low stock"),
    "empty_facing": ("货位空缺", "empty facing"),
    "out_of_stock": ("缺货", "out of stock"),
    "near_expiry": ("临期", "near expiry"),
    "expired": ("过期", "expired"),
    "expired_sold": ("售出过期商品", "expired goods sold"),
    "no_sale_30d": ("滞销", "no sale in 30 days"),
    "book_shelf_disagree": ("账实不符", "book and shelf disagree"),
    "suspected_loss": ("疑似丢失", "suspected loss"),
    "negative_basket": ("售出未见拿取", "sales without picks"),
    "sensor_disagrees": ("传感器可疑", "sensor disagrees"),
}
"""What each code is called."""

TEXT: Final[Mapping[str, tuple[str, str]]] = {
    "low_stock": ("{what}：还有 {qty}，低于 {other}", "{what}: {qty} left, below {other}"),
    "empty_facing": (
        "{what}：{at} 已空，店内还有 {qty}，请补货",
        "{what}: none at {at}, {qty} elsewhere in the shop; refill it",
    ),
    "out_of_stock": ("{what}：店内已无货", "{what}: none left in the shop"),
    "near_expiry": (
        "{what}，批次 {lot}：{date} 到期，还有 {qty}",
        "{what}, lot {lot}: expires on {date}, {qty} left",
    ),
    "expired": (
        "{what}，批次 {lot}：{date} 已到期，店内还有 {qty}，请下架报损",
        "{what}, lot {lot}: expired on {date}, {qty} still here; take it away and write it off",
    ),
    "expired_sold": (
        "{what}：{date} 售出已过期商品 {qty}（按账面批次）",
        "{what}: {qty} sold on {date} after expiry, by the lots of the book",
    ),
    "no_sale_30d": (
        "{what}：有货 {qty}，{date} 以后没有售出",
        "{what}: {qty} in stock, none sold since {date}",
    ),
    "no_sale_30d.never": (
        "{what}：有货 {qty}，30 天以来没有售出",
        "{what}: {qty} in stock, none sold for 30 days",
    ),
    "book_shelf_disagree": (
        "{what}：{at} 账面 {qty}，货架显示 {other}，请盘点",
        "{what} at {at}: {qty} by the book, {other} by the shelf; count it",
    ),
    "suspected_loss": (
        "{what}：{date} 有 {qty} 被拿走，未付款也未放回{value}",
        "{what}: {qty} taken on {date}, neither paid nor put back{value}",
    ),
    "negative_basket": (
        "{what}：24 小时内有 {count} 次售出没有对应的拿取",
        "{what}: {count} sales within 24 hours had no pick behind them",
    ),
    "sensor_disagrees.blind": (
        "{at} 的秤可能失灵：连续 {count} 次售出，秤没有看到拿取",
        "the scale at {at} may be dead or stuck: {count} sales in a row, and it saw no pick",
    ),
    "sensor_disagrees.restless": (
        "{at} 的秤可能误报：连续 {count} 次拿取都没有付款",
        "the scale at {at} may see what nobody took: {count} picks in a row were never paid",
    ),
}
"""By code, or by code and kind. `{what}` is the product, `{at}` the place."""
_VALUE: Final = ("，价值 {}", ", worth {}")


class Names:
    """What products and places of a shop are called."""

    def __init__(self, store: Store) -> None:
        self._products = store.product_by_gtin()
        self._places = {location.id: location.name for location in store.locations}

    def sentence(self, alert: Alert, lang: Lang) -> str:
        """One alert as a sentence; "?" for a number it does not have."""
        product = self._products.get(alert.gtin or "")
        uom = "EA" if product is None else product.uom
        name = "" if product is None else product.name
        amounts = {
            key: "?" if milli is None else quantity(milli, uom)
            for key, milli in (("qty", alert.qty_milli), ("other", alert.other_milli))
        }
        value = alert.value_minor
        worth = "" if value is None else f"{value // 100}.{value % 100:02d}"
        text = TEXT.get(f"{alert.code}.{alert.why}") or TEXT[alert.code]
        return say(text, lang).format(
            what=f"{name} ({alert.gtin})" if name else alert.gtin,
            at=place(alert.location or "?", self._places, lang),
            lot=alert.lot,
            date=alert.date,
            count=alert.count,
            value=say(_VALUE, lang).format(worth) if worth else "",
            **amounts,
        )
