"""What people read about a label: data titles, faults and the item, in Chinese and English.

Here: sentences. Not here: what is true of a label (`domain.gs1`), where it is shown (`cli.labels`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.domain.gs1 import FAULTS, Fault, Item, ais, expiry_date
from gateway.domain.units import PIECE_MILLI
from gateway.words import Lang, quantity

FAULT_ZH: Final[Mapping[str, str]] = {
    "too_long": "内容过长，任何条码都放不下",
    "not_gs1": "既不是商品条码，也不是 GS1 单元数据串或数字链接",
    "gtin_length": "{value} 位数字不是商品条码",
    "check_digit": "{value} 的校验位不对，应为 {rule}",
    "no_gtin": "没有商品条码（AI 01 或 02）",
    "logistic_unit": "这是物流单元 {value}（SSCC），标签没有说明里面是什么",
    "no_count": "只说明内装商品（AI 02），没有数量（AI 37）",
    "other_key": "数字链接的主键是 AI {ai}，不是商品",
    "no_fnc1": "开头没有 FNC1",
    "empty": "FNC1 之后没有内容",
    "caret": "含有字符 ^，GS1 字符集中没有这个字符",
    "unknown_ai": "“{value}”处没有应用标识符",
    "no_value": "AI {ai} 没有内容",
    "value_length": "AI {ai} 有 {value} 个字符，可能丢失了分隔符",
    "fixed_length": "AI {ai} 须有 {rule} 个字符",
    "too_short": "AI {ai} 的内容“{value}”太短",
    "unseparated": "AI {ai} 之后缺少分隔符",
    "linter": "AI {ai} 的内容“{value}”未通过检验 {rule}",
    "repeated": "AI {ai} 出现两次，内容不同",
    "excluded": "AI {ai} 与 AI {value} 不能同时出现",
    "missing": "AI {ai} 须与 {value} 同时出现",
    "unserialised": "数字签名要求 AI {ai} 带序列部分",
    "brackets": "不是（AI）内容的形式",
    "uri": "不是由许可字符组成的网址",
    "no_key": "网址中没有 GS1 主键（GS1 数字链接）",
    "bad_path": "网址路径中 AI {ai} 的位置不对",
    "duplicate": "网址中 AI {ai} 出现两次",
    "no_attribute": "AI {ai} 不能作为数字链接的属性",
    "in_path": "AI {ai} 应写在路径中，不应写在问号之后",
    "symbology": "码制标识“{value}”不属于 GS1",
    "message": "不是码制 {value} 所能承载的内容",
}
"""The Chinese of `FAULTS`, key by key."""

TITLE_ZH: Final[Mapping[str, str]] = {
    "00": "系列货运包装箱代码",
    "01": "全球贸易项目代码",
    "02": "物流单元内贸易项目代码",
    "10": "批号",
    "11": "生产日期",
    "12": "付款截止日期",
    "13": "包装日期",
    "15": "最佳食用日期",
    "16": "停止销售日期",
    "17": "有效期",
    "20": "产品变体",
    "21": "序列号",
    "30": "变量贸易项目数量",
    "310": "净重（千克）",
    "37": "物流单元内贸易项目数量",
    "392": "应付金额",
    "400": "订购单号",
    "410": "交货地",
    "414": "位置码",
    "422": "原产国",
    "8020": "付款单参考号",
    "91": "公司内部信息",
}
"""Titles of the AIs that labels of a store carry; the other AIs keep GS1's own title."""


def fault(what: Fault, lang: Lang) -> str:
    """One fault as a sentence."""
    return what.say((FAULT_ZH if lang == "zh-CN" else FAULTS)[what.code])


def title(ai: str, lang: Lang) -> str:
    """What an AI is called; empty where GS1 has no name for it.

    >>> title("3103", "en"), title("3103", "zh-CN")
    ('NET WEIGHT (kg)', '净重（千克）')
    """
    found = ais.find(ai)
    named = TITLE_ZH.get(ai) or TITLE_ZH.get(ai[:3]) if lang == "zh-CN" else None
    return named or (found.title if found is not None else "")


def item(what: Item, year: int, lang: Lang) -> str:
    """What one scan of the label stands for, seen from `year`."""
    zh = lang == "zh-CN"
    if what.net_kg_milli is None:
        amount = quantity(what.count * PIECE_MILLI, "EA")
    else:
        amount = quantity(what.net_kg_milli, "KGM")
    parts = [f"{amount} × {what.gtin}"]
    if what.lot is not None:
        parts.append(f"批号 {what.lot}" if zh else f"lot {what.lot}")
    if what.serial is not None:
        parts.append(f"序列号 {what.serial}" if zh else f"serial {what.serial}")
    if what.expiry_yymmdd is not None:
        date = expiry_date(what.expiry_yymmdd, year) or what.expiry_yymmdd
        parts.append(f"有效期至 {date}" if zh else f"expires {date}")
    if what.sscc is not None:
        unit = f"物流单元 {what.sscc}" if zh else f"on logistic unit {what.sscc}"
        parts.append(unit)
    if what.restricted:
        parts.append(
            "店内码，由本店商品目录解释" if zh else "a number only this store's catalogue knows"
        )
    return ("，" if zh else ", ").join(parts)
