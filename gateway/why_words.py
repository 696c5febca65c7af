"""The whole chain behind one event, told in order: what was heard, what it was taken for, what was
booked, what it might have been instead, and the events before and after it.

Here: those sentences in Chinese and English. Not here: single facts (`words`), the kin of an event
(`lineage`), terminals (`cli.why`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from gateway import words
from gateway.domain.observation import Because
from gateway.domain.reading import Word
from gateway.domain.settings import FusionSettings
from gateway.domain.stock import StockEvent
from gateway.domain.units import NS_PER_S
from gateway.journal.reader import Evidence
from gateway.lineage import Lineage
from gateway.plot import Captions, Curve
from gateway.words import Lang, say

UNVOIDED: Final = ("void", "epoch_open")

HEADS: Final[Mapping[str, tuple[str, str]]] = {
    "heard": ("设备读到的", "What was heard"),
    "judged": ("如何判断", "What it was taken for"),
    "booked": ("登记内容", "What was booked"),
    "instead": ("如果不是这样", "What might have been instead"),
    "beside": ("同时登记", "Booked with it"),
    "rests_on": ("它依据的事件", "What it rests on"),
    "led_to": ("后续事件", "What came of it"),
}

INSTEAD: Final[Mapping[str, tuple[str, str]]] = {
    "step": (
        "把握不到 95 % 时不会马上登记，会等扫码、收银或 {step_min} 分钟。",
        "With less than 95 % it would have waited: for a scan, a sale, or {step_min} minutes.",
    ),
    "step_expired": (
        "{step_min} 分钟内若有扫码或收银，会按它登记。",
        "A scan or a sale within {step_min} minutes would have decided instead.",
    ),
    "scan_proves_removal": (
        "没有这次扫码，它仍算顾客拿取，等待付款。",
        "Without that scan it would still be a shopper's pick that waits to be paid.",
    ),
    "sale_took_pick": (
        "若没有那次拿取，这笔销售会等 {sale_s} 秒，然后证明漏看了一次拿取。",
        "Without that pick the sale would have waited {sale_s} s, and then proved one unseen.",
    ),
    "sale_found_lost": (
        "24 小时内没有卖出，它会一直记为丢失。",
        "Not sold within 24 hours it would have stayed lost.",
    ),
    "sale_proves_pick": (
        "货架秤若在 {sale_s} 秒内看到拿取，会按秤登记。",
        "Had a scale seen the pick within {sale_s} s, that would have been booked.",
    ),
    "basket_timeout": (
        "{basket_min} 分钟内付款或放回就不算丢失；24 小时内售出或 48 小时内再出现，会登记为找回。",
        "Paid or put back within {basket_min} minutes it would be no loss; sold within 24 h, or "
        "seen again within 48, it is found.",
    ),
    "negative_guard": (
        "不补足的话，这里的账面会小于零。盘点此处可以找出错在哪里。",
        "Otherwise the place would hold less than nothing. A count there shows what was wrong.",
    ),
    "lot_swap": (
        "不改记的话，账面上会有一个并不在那里的批次。",
        "Otherwise the book would hold a lot that is not there.",
    ),
    "count_closed": (
        "没有盘点，账面保持原样；点数若等于账面，差异为零。",
        "Uncounted, the book would have stayed as it was; had the count agreed, by 0.",
    ),
}

NOTHING: Final = (
    "都不对：只记录重量，不登记",
    "none of them: the weight noted, nothing booked",
)
TAKE_BACK: Final = (
    "登记有误？执行 stockd command void event={seq} 可原样撤销。",
    "Wrong? stockd command void event={seq} takes it back.",
)


class Told(Word, frozen=True):
    """The chain, a list of sentences for each of HEADS."""

    headline: str
    heard: tuple[str, ...]
    judged: tuple[str, ...]
    booked: tuple[str, ...]
    instead: tuple[str, ...]
    beside: tuple[str, ...]
    rests_on: tuple[str, ...]
    led_to: tuple[str, ...]


class Teller:
    """Tells events of one shop in one language."""

    def __init__(
        self,
        products: Mapping[str, str],
        places: Mapping[str, str],
        zone: ZoneInfo,
        fusion: FusionSettings,
        lang: Lang,
    ) -> None:
        self._products, self._places = products, places
        self._zone, self._lang = zone, lang
        self._waits = {
            "sale_s": fusion.pending_sale_s,
            "step_min": fusion.pending_step_s // 60,
            "basket_min": fusion.basket_timeout_s // 60,
        }

    def tell(self, kin: Lineage) -> Told:
        """The whole chain of an event."""
        one = kin.event
        return Told(
            headline=self.line(one.event),
            heard=(words.evidence(one.observation, self._lang),),
            judged=tuple(self._judged(one)),
            booked=tuple(self._booked(one.event)),
            instead=tuple(self._instead(one)),
            beside=tuple(map(self._linked, kin.beside)),
            rests_on=tuple(map(self._linked, kin.rests_on)),
            led_to=tuple(map(self._linked, kin.led_to)),
        )

    def line(self, event: StockEvent) -> str:
        """An event in one line: its number, when, what moved."""
        moment = datetime.fromtimestamp(event.at_ns // NS_PER_S, self._zone).strftime("%F %T")
        moved = words.headline(event, self._products, self._places, self._lang)
        return f"#{event.seq}  {moment}  {moved}"

    def _linked(self, one: Evidence) -> str:
        return f"{self.line(one.event)}. {words.reason(one.because, self._lang)}"

    def _judged(self, one: Evidence) -> list[str]:
        out = [words.reason(one.because, self._lang)]
        if one.event.conf is not None:
            out.append(f"{say(('把握', 'confidence'), self._lang)}: {one.event.conf / 10:.1f} %")
        guesses = words.hypotheses(one.because, self._products, self._lang)
        return out + guesses[:1]

    def _booked(self, event: StockEvent) -> list[str]:
        """Every line of the double entry, with what its account holds now."""
        out = []
        for line in event.lines:
            where = words.place(line.loc, self._places, self._lang)
            change = words.quantity(line.d, line.uom)
            what = self._products.get(line.gtin, line.gtin)
            if line.lot:
                what += f" ({say(('批次', 'lot'), self._lang)} {line.lot})"
            text = f"{where}: {'+' if line.d > 0 else ''}{change} {what}"
            if line.after is not None:
                after = words.quantity(line.after, line.uom)
                text += f", {say(('之后为', 'then'), self._lang)} {after}"
            out.append(text)
        return out

    def _instead(self, one: Evidence) -> list[str]:
        out = [*self._other_guesses(one.event, one.because)]
        entry = INSTEAD.get(one.because.code)
        if entry is not None:
            out.append(say(entry, self._lang).format(**self._waits))
        if one.event.kind not in UNVOIDED:
            out.append(say(TAKE_BACK, self._lang).format(seq=one.event.seq))
        return out

    def _other_guesses(self, event: StockEvent, because: Because) -> list[str]:
        """What the next best explanations of a step would have booked."""
        out = []
        kind = say(words.KIND[event.kind], self._lang)
        for row in because.rows[1:]:
            share = words.percent(row.ppm)
            if not row.gtin:
                out.append(f"{say(NOTHING, self._lang)} ({share})")
            else:
                guess = words.hypothesis(row, self._products, self._lang)
                out.append(f"{kind}: {guess} ({share})")
        return out


def captions(curve_title: str, lang: Lang) -> Captions:
    """What is written on a picture."""
    zh = (
        "时间（秒，自开始变化起）", "重量（克）", "开始", "稳定", "之前", "之后",
    )  # fmt: skip
    en = ("time since it began (s)", "mass (g)", "began", "settled", "before", "after")
    return Captions(curve_title, *(zh if lang == "zh-CN" else en))


def legend(curve: Curve, marks: str, lang: Lang) -> str:
    """What the two marks below a curve in a terminal mean."""
    began, settled = marks[0], marks[1]
    later, start = f"{curve.settled_ms / 1000:.1f}", f"{curve.span_ms[0] / 1000:.1f}"
    if lang == "zh-CN":
        return f"{curve.device}：{began} 开始变化，{settled} {later} 秒后稳定（图从 {start} 秒起）"
    return f"{curve.device}: {began} it began, {settled} settled {later} s later (from {start} s)"
