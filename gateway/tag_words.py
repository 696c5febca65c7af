"""What people read about an RFID tag, in Chinese and English.

Here: sentences. Not here: what is true of a tag (`domain.epc`), where it is shown (`cli.labels`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from gateway.domain.epc import EpcIdentity, NotGs1, Sgtin
from gateway.words import Lang, say

REASON_ZH: Final[Mapping[str, str]] = {
    "hex": "不是十六进制的标签内容",
    "unprogrammed": "全为零：标签尚未写入",
    "tid": "芯片自带编号，标签没有写入商品编码",
    "iso": "按 ISO/IEC 15961 编号，不是 GS1",
    "legacy": "已废止的 64 位编码",
    "reserved": "编码头没有定义",
    "length": "位数与编码方案不符",
    "padding": "应为零的位不为零",
    "partition": "分区值 7 无效",
    "range": "数值超出应有的位数",
    "characters": "含有不允许的字符，或为空",
    "encoding": "编码方式不符合规范",
    "check_digit": "校验位不对",
    "date": "不是有效日期",
}
"""Why a tag is none of GS1, by `domain.epc.REASONS`; in English the answer says it itself."""

KIND: Final[Mapping[str, tuple[str, str]]] = {
    "sgtin": ("单品", "trade item"),
    "dsgtin": ("单品及日期", "trade item with a date"),
    "sscc": ("物流单元", "logistic unit"),
    "sgln": ("位置", "place"),
    "grai": ("可回收资产", "returnable asset"),
    "giai": ("单个资产", "asset"),
    "gsrn": ("服务对象", "recipient of a service"),
    "gsrnp": ("服务提供者", "provider of a service"),
    "gdti": ("单证", "document"),
    "cpi": ("零部件", "component or part"),
    "sgcn": ("优惠券", "coupon"),
    "itip": ("单品的组成部分", "piece of a trade item"),
    "gid": ("通用标识", "general identifier"),
    "usdod": ("美国国防部物资", "US Department of Defense"),
    "adi": ("航空航天与国防部件", "aerospace and defence part"),
}


def lines(found: Sgtin | EpcIdentity | NotGs1, lang: Lang) -> Iterator[tuple[str, str]]:
    """What there is to say of a tag: a name and its value each."""
    if isinstance(found, NotGs1):
        why = (REASON_ZH[found.reason], found.detail)
        yield say(("不是 GS1 标签", "not a GS1 tag"), lang), say(why, lang)
        return
    kind = found.scheme.partition("-")[0].rstrip("+")
    yield say(("方案", "scheme"), lang), f"{found.scheme}, {say(KIND[kind], lang)}"
    if isinstance(found, Sgtin):
        yield "GTIN", found.gtin
        yield say(("序列号", "serial"), lang), found.serial
        if found.date is not None:
            yield say(("日期", "date"), lang), f"({found.date[0]}){found.date[1]}"
    if found.filter is not None:
        yield say(("过滤值", "filter"), lang), str(found.filter)
    for name, value in (
        (("标识", "identity"), found.pure_identity),
        (("标签", "tag"), found.tag_uri),
        (("单元数据串", "element string"), found.element_string),
        (("数字链接", "Digital Link"), found.digital_link),
    ):
        if value is not None:
            yield say(name, lang), value
    if found.aidc:
        more = ("标签上还有其他数据，未读取", "there is more on the tag, which is not read")
        yield say(("其他", "more"), lang), say(more, lang)
