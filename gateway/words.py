"""What people read: kinds, reasons and evidence in Chinese and English, one catalogue for both.

Here: sentences. Not here: where they are shown (`cli`, later the console), what is true.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from gateway.domain.observation import (
    BayStep,
    Because,
    DeviceSeen,
    Dropped,
    LevelClaim,
    ModeChanged,
    Observation,
    Ordered,
    Row,
    ScanMove,
    Swapped,
    Swept,
    TagsMoved,
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
    "return_proves_pick": (
        "商品被放回货架，证明之前不确定的那次变化就是拿取它。",
        "It was put back: so it is what had been taken in a change that was unclear until then.",
    ),
    "removal_proves_arrival": (
        "取走的比账面多，证明之前不确定的那次变化就是它被放上货架。",
        "More was taken than the book held: so it is what had come in a change that was unclear "
        "until then.",
    ),
    "count_proves_step": (
        "盘点的差数正好等于之前不确定的那次变化。",
        "The count differed by just what had moved in a change that was unclear until then.",
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
    "surplus": ("货架上比账面多。", "More lies there than the book said."),
    "session": ("店员正在补货。", "Staff were filling the shelf."),
    "count_closed": ("盘点结束，登记差异。", "A count ended; the difference was booked."),
    "level_claim": (
        "传感器数出的数量与账面不同，隔一段时间再看仍然如此。",
        "A sensor counts another number than the book held, and still did when looked at again.",
    ),
    "tag_left": (
        "射频标签离开了这里，店内各处都读不到。",
        "Its RFID tag left the place and is heard nowhere.",
    ),
    "tag_back": (
        "第 {seq} 号拿走的商品，射频标签又回到了货架。",
        "The RFID tag of what event {seq} took is back on a shelf.",
    ),
    "tag_moved": (
        "射频标签从一处移到了另一处。",
        "Its RFID tag went from one place to another.",
    ),
    "tag_exit": (
        "射频标签到了出口，没有对应的销售。",
        "Its RFID tag is at the exit, and no sale was made of it.",
    ),
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
    """What it may have been, best first, each with its share of the belief."""
    return [f"{hypothesis(row, products, lang)}: {percent(row.ppm)}" for row in because.rows]


def percent(ppm: int) -> str:
    """A share as people read it.

    >>> percent(999_400), percent(400)
    ('99.9 %', '< 0.1 %')
    """
    return f"{ppm // 10_000}.{ppm // 1000 % 10} %" if ppm >= 1000 else "< 0.1 %"


def hypothesis(row: Row, products: Mapping[str, str], lang: Lang) -> str:
    """One guess at what a step was."""
    if row.units:
        return f"{row.units} × {products.get(row.gtin, row.gtin)}"
    if not row.gtin:
        return say(("无法解释", "none of them (unexplained)"), lang)
    both = [part.partition("x") for part in row.gtin.split("+")]
    return " + ".join(f"{units} × {products.get(gtin, gtin)}" for units, _, gtin in both)


def evidence(seen: Observation | None, lang: Lang) -> str:
    """What the device said, as settled."""
    if isinstance(seen, WeightStep):
        return step(seen, lang)
    if isinstance(seen, BayStep):
        label = say(("相邻货架秤同时变化", "neighbouring plates moved together"), lang)
        return f"{label}: " + "; ".join(step(one, lang) for one in seen.steps)
    if isinstance(seen, LevelClaim):
        label = say(("计数依据", "what lies there, by"), lang)
        return f"{label} {seen.device}: {seen.location}"
    if isinstance(seen, Ordered):
        label = say(("指令", "command"), lang)
        return f"{label} {type(seen.order).__name__.lower()} ({seen.device})"
    if isinstance(seen, ModeChanged):
        label = say(("扫码枪换模式", "scanner's mode changed"), lang)
        return f"{label} {seen.device}: {seen.before} → {seen.after}"
    if isinstance(seen, DeviceSeen):
        came = say(("设备上线", "came back"), lang) if seen.up else say(("离线", "went away"), lang)
        return f"{seen.device}: {came}"
    if isinstance(seen, Swapped):
        return f"{seen.device}: {seen.before} → {seen.after}"
    if isinstance(seen, TagsMoved):
        what = ("读到标签", "tags came") if seen.came else ("标签离开", "tags left")
        return f"{say(what, lang)} {seen.device}: {seen.location}, {len(seen.tags)}"
    if isinstance(seen, Swept):
        label = say(("射频盘点", "RFID sweep"), lang)
        return f"{label} {seen.stocktake}"
    if isinstance(seen, Dropped):
        return f"{seen.device}: {seen.data} ({seen.reason})"
    if seen is None:
        return say(("到时间自动处理", "a deadline passed; nothing else happened"), lang)
    return _label(seen, lang)


def _label(seen: ScanMove | TillLine, lang: Lang) -> str:
    """What was read off goods: by a scanner, or by a till's software."""
    if isinstance(seen, ScanMove):
        head = (
            f"扫码枪 {seen.device}，模式 {seen.mode}",
            f"scanner {seen.device}, mode {seen.mode}",
        )
    else:
        head = (
            f"收银机 {seen.device}，小票 {seen.receipt} 第 {seen.line} 行",
            f"till {seen.device}, receipt {seen.receipt}, line {seen.line}",
        )
    text = f"{say(head, lang)}: GTIN {seen.gtin}"
    if seen.lot:
        text += f", {say(('批次', 'lot'), lang)} {seen.lot}"
    if seen.exp:
        text += f", {say(('效期', 'expires'), lang)} {seen.exp}"
    if isinstance(seen, ScanMove) and seen.serial:
        text += f", {say(('序列号', 'serial'), lang)} {seen.serial}"
    return text


def step(seen: WeightStep, lang: Lang) -> str:
    """A plate that settled at another mass."""
    before, by = f"{seen.before_mg / 1000:.0f}", f"{seen.step_mg / 1000:+.0f}"
    after = f"{(seen.before_mg + seen.step_mg) / 1000:.0f}"
    took, noise = f"{(seen.at_ns - seen.began_ns) / 1e9:.1f}", f"{seen.sigma_mg / 1000:.1f}"
    if lang == "zh-CN":
        away = "（断线期间发生）" if seen.outage else ""
        return (
            f"秤 {seen.device}：{before} 克 → {after} 克（{by} 克），"
            f"{took} 秒后稳定，噪声 {noise} 克{away}"
        )
    away = " (found after an outage)" if seen.outage else ""
    return (
        f"scale {seen.device}: {before} g → {after} g ({by} g), "
        f"settled {took} s after it began, noise {noise} g{away}"
    )
