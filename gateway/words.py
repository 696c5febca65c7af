"""What people read: kinds, reasons and evidence in Chinese and English, one catalogue for both.

Here: sentences. Not here: where they are shown (`cli`, later the console), what is true.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from gateway.domain.observation import (
    Because,
    Dropped,
    Observation,
    Ordered,
    ScanMove,
    TillLine,
    WeightStep,
)
from gateway.domain.stock import StockEvent
from gateway.domain.units import PIECE_MILLI

Lang = Literal["zh-CN", "en"]

KIND: Final[Mapping[str, tuple[str, str]]] = {
    "pick": ("拿取", "picked from the shelf"),
    "putback": ("放回", "put back"),
    "sale": ("销售", "sold"),
    "return": ("退货", "returned by a customer"),
    "receive": ("收货", "received"),
    "restock": ("补货", "restocked"),
    "transfer_out": ("调出", "sent to another store"),
    "transfer_in": ("调入", "received from another store"),
    "writeoff": ("报损", "written off"),
    "stocktake": ("盘点", "counted"),
    "loss": ("丢失", "lost"),
    "found": ("找回", "found again"),
    "adjust": ("调整", "adjusted"),
    "void": ("撤销", "taken back"),
    "epoch_open": ("总账建立", "the ledger opened this record"),
}

ACCOUNT: Final[Mapping[str, tuple[str, str]]] = {
    "@basket": ("顾客手中", "a shopper's basket"),
    "@sold": ("已售", "sold"),
    "@supplier": ("供应商", "the supplier"),
    "@transfer": ("在途", "on the way between stores"),
    "@waste": ("报损", "waste"),
    "@lost": ("丢失", "lost"),
    "@adjust": ("账面调整", "the book's adjustment"),
}

BECAUSE: Final[Mapping[str, tuple[str, str]]] = {
    "scan": ("扫码登记。", "A barcode was scanned."),
    "till_line": ("收银系统登记。", "The till's software said so."),
    "till_void": (
        "收银系统撤销了第 {seq} 号销售。",
        "The till's software took sale {seq} back.",
    ),
    "command": ("工作人员下达了指令。", "A member of staff said so."),
    "step": ("货架秤的读数变了并稳定下来。", "The shelf scale settled at another weight."),
    "step_expired": (
        "货架秤的变化一直没有其他证据，按最可能的解释登记。",
        "The shelf scale changed; no better evidence came, so the likeliest was booked.",
    ),
    "scan_proves_removal": (
        "随后的扫码说明刚才是店员取走的，不是顾客。",
        "The scan that followed shows that staff took it, not a shopper.",
    ),
    "sale_took_pick": (
        "收银扫码，对应第 {seq} 号拿取。",
        "Scanned at the till; it is the unit picked in event {seq}.",
    ),
    "sale_found_lost": (
        "收银台扫到了第 {seq} 号登记为丢失的商品。",
        "The till scanned a unit that event {seq} had given up as lost.",
    ),
    "sale_proves_pick": (
        "第 {seq} 号销售没有对应的拿取，证明货架上漏看了一次拿取。",
        "Sale {seq} had no pick behind it: it proves that one was not seen.",
    ),
    "basket_timeout": (
        "第 {seq} 号拿取之后一直没有付款，也没有放回。",
        "After pick {seq} it was neither paid nor put back in time.",
    ),
    "negative_guard": (
        "实际取走的比账面多，先把账面补足，差额公开记录。",
        "More left than the book held; the book was first made good, openly.",
    ),
    "lot_swap": ("扫码证明了另一个批次，改记批次。", "A scan proved another lot; relabelled."),
    "count_closed": ("盘点结束，登记差异。", "A count ended; the difference was booked."),
    "ledger": ("总账接受了本店的记录。", "The central ledger granted an epoch."),
}


def say(entry: tuple[str, str], lang: Lang) -> str:
    """One of a pair, by language."""
    return entry[0] if lang == "zh-CN" else entry[1]


def place(loc: str, names: Mapping[str, str], lang: Lang) -> str:
    """An account as people call it."""
    if loc in ACCOUNT:
        return say(ACCOUNT[loc], lang)
    name = names.get(loc)
    return f"{name} ({loc})" if name else loc


def quantity(milli: int, uom: str) -> str:
    """A quantity as people write it.

    >>> quantity(2000, "EA"), quantity(-742, "KGM"), quantity(1500, "EA")
    ('2', '-0.742 kg', '1.5')
    """
    sign, milli = ("-" if milli < 0 else ""), abs(milli)
    whole, rest = divmod(milli, PIECE_MILLI)
    number = f"{whole}.{rest:03d}".rstrip("0").rstrip(".") if rest else str(whole)
    unit = {"KGM": " kg", "LTR": " l", "MTR": " m"}.get(uom, "")
    return f"{sign}{number}{unit}"


def headline(event: StockEvent, products: Mapping[str, str], places: Mapping[str, str],
             lang: Lang) -> str:  # fmt: skip
    """What moved, from where to where, in one sentence."""
    moved = []
    for line in event.lines:
        if line.d > 0 or (line.d == 0 and not line.loc.startswith("@")):
            same = (x for x in event.lines if (x.gtin, x.lot) == (line.gtin, line.lot))
            origin = next((x.loc for x in same if x.d < 0), None)
            name = products.get(line.gtin, line.gtin)
            what = f"{quantity(line.d, line.uom)} × {name}"
            if line.lot:
                what += f" ({'批次' if lang == 'zh-CN' else 'lot'} {line.lot})"
            if origin is not None:
                what += f": {place(origin, places, lang)} → {place(line.loc, places, lang)}"
            moved.append(what)
    kind = say(KIND.get(event.kind, (event.kind, event.kind)), lang)
    return f"{kind}: " + "; ".join(moved) if moved else kind


def reason(because: Because, lang: Lang) -> str:
    """Why it was booked."""
    entry = BECAUSE.get(because.code)
    return say(entry, lang).format(seq=because.seq) if entry else because.code


def hypotheses(because: Because, products: Mapping[str, str], lang: Lang) -> list[str]:
    """What else it might have been, best first."""
    out = []
    for row in because.rows:
        if row.units:
            what = f"{row.units} × {products.get(row.gtin, row.gtin)}"
        elif row.gtin:
            what = say(("两种商品同时", "two products at once"), lang) + f" {row.gtin}"
        else:
            what = say(("无法解释", "none of them (unexplained)"), lang)
        out.append(f"{what}: {row.ppm // 10_000}.{row.ppm // 1000 % 10} %")
    return out


def evidence(seen: Observation | None, lang: Lang) -> str:
    """What the device said, as settled."""
    zh = lang == "zh-CN"
    if isinstance(seen, WeightStep):
        grams = seen.step_mg / 1000
        after = (seen.before_mg + seen.step_mg) / 1000
        took = (seen.at_ns - seen.began_ns) / 1e9
        if zh:
            away = "（断线期间发生）" if seen.outage else ""
            return (
                f"秤 {seen.device}：{seen.before_mg / 1000:.0f} 克 → {after:.0f} 克"
                f"（{grams:+.0f} 克），{took:.1f} 秒后稳定{away}"
            )
        away = " (found after an outage)" if seen.outage else ""
        return (
            f"scale {seen.device}: {seen.before_mg / 1000:.0f} g → {after:.0f} g "
            f"({grams:+.0f} g), settled {took:.1f} s after it began{away}"
        )
    if isinstance(seen, ScanMove):
        text = f"扫码枪 {seen.device}，模式 {seen.mode}" if zh else (
            f"scanner {seen.device}, mode {seen.mode}"
        )  # fmt: skip
        return text + (f", lot {seen.lot}" if seen.lot else "")
    if isinstance(seen, TillLine):
        text = f"收银机 {seen.device}，小票 {seen.receipt} 第 {seen.line} 行" if zh else (
            f"till {seen.device}, receipt {seen.receipt}, line {seen.line}"
        )  # fmt: skip
        return text + (f", lot {seen.lot}" if seen.lot else "")
    if isinstance(seen, Ordered):
        return f"{'指令' if zh else 'command'} {type(seen.order).__name__} ({seen.device})"
    if isinstance(seen, Dropped):
        return f"{seen.device}: {seen.data} ({seen.reason})"
    return "到时间自动处理" if zh else "a deadline passed; nothing else happened"
