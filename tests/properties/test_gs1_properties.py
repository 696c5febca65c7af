"""Any text is read without a fall, and every valid message comes back as it was written."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.gs1 import GS, Element, Fault, Item, NoItem, elements, link, parse, read, scan
from gateway.domain.gs1.ais import Ai, Part, all_ais
from gateway.domain.ids import check_digit

AIMS = [None, "]C1", "]d2", "]E0", "]E3", "]E4", "]I1", "]Q1", "]Q3", "]e0", "]XX"]

DIGITS = "0123456789"
SETS = {
    "N": DIGITS,
    "X": "!\"%&'()*+,-./:;<=>?AZ_az09",
    "Y": "#-/09AZ",
    "Z": "-_09AZaz",
}

numbers = st.integers(0, 10**6).map(str)


def with_check_digit(length: int) -> st.SearchStrategy[str]:
    body = st.text(DIGITS, min_size=length - 1, max_size=length - 1)
    return body.map(lambda text: text + str(check_digit(text)))


VALUES: dict[str, st.SearchStrategy[str]] = {
    "couponcode": st.just("061414112345611190123"),
    "couponposoffer": st.just("006141411234560123456"),
    "csumalpha": st.sampled_from(["1987654Ad4X4bL5ttr2310c2K", "12345678901234567890123NT"]),
    "hh": st.integers(0, 23).map("{:02d}".format),
    "hhmi": st.integers(0, 23).map("{:02d}59".format),
    "hyphen": st.just("-"),
    "iban": st.just("GB82WEST12345698765432"),
    "importeridx": st.sampled_from("A0-_z"),
    "iso3166": st.sampled_from(["156", "276"]),
    "iso3166999": st.sampled_from(["156", "999"]),
    "iso3166alpha2": st.sampled_from(["CN", "DE"]),
    "iso4217": st.sampled_from(["156", "978"]),
    "iso5218": st.sampled_from("0129"),
    "latitude": st.integers(0, 1_800_000_000).map("{:010d}".format),
    "longitude": st.integers(0, 3_600_000_000).map("{:010d}".format),
    "mediatype": st.sampled_from(["01", "99"]),
    "mi": st.integers(0, 59).map("{:02d}".format),
    "nozeroprefix": st.integers(1, 10**12 - 1).map(str),
    "packagetype": st.sampled_from(["CT", "200"]),
    "pieceoftotal": st.sampled_from(["0101", "0299"]),
    "posinseqslash": st.sampled_from(["1/1", "2/3"]),
    "ss": st.integers(0, 59).map("{:02d}".format),
    "winding": st.sampled_from("019"),
    "yesno": st.sampled_from("01"),
    "yymmd0": st.sampled_from(["260900", "240229"]),
    "yymmdd": st.sampled_from(["260930", "240229"]),
    "yyyymmdd": st.sampled_from(["20240229", "19991231"]),
    "zero": st.just("0"),
}
"""Values that pass a test, where a value at random seldom does."""


def part_value(part: Part) -> st.SearchStrategy[str]:
    special = next((VALUES[name] for name in part.linters if name in VALUES), None)
    if special is not None:
        return special
    if "csum" in part.linters:
        return with_check_digit(part.most)
    plain = st.text(SETS[part.charset], min_size=part.least, max_size=part.most)
    if "gcppos1" in part.linters:
        return plain.map(lambda text: ("6141" + text)[: part.most])
    if "nonzero" in part.linters:
        return plain.map(lambda text: text[:-1] + "1")
    if "pcenc" in part.linters:
        return plain.map(lambda text: text.replace("%", "a"))
    return plain


@st.composite
def element(draw: st.DrawFn, among: tuple[Ai, ...] = all_ais()) -> Element:
    ai = draw(st.sampled_from(among))
    optional = sum(part.optional for part in ai.parts)
    used = len(ai.parts) - (draw(st.integers(0, optional)) if optional else 0)
    return Element(ai.ai, "".join(draw(part_value(part)) for part in ai.parts[:used]))


texts = st.text(st.characters(), max_size=80)
shards = st.lists(
    st.one_of(
        st.sampled_from(
            [GS, "^", "|", "(", ")", "\\", "]e0", "https://a", "/", "?", "&", "=", "%", "#"]
        ),
        st.sampled_from([ai.ai for ai in all_ais()]),
        numbers,
        element().map(lambda e: e.ai + e.value),
        texts,
    ),
    max_size=12,
).map("".join)


@given(st.one_of(texts, shards, shards.map("https://a/01/".__add__)), st.sampled_from(AIMS))
def test_no_text_falls(text: str, aim: str | None) -> None:
    item = parse(text, aim)
    assert isinstance(item, Item | NoItem)
    assert isinstance(item, Item) or item.detail
    assert isinstance(read(text, aim), tuple) or isinstance(item, NoItem)
    assert isinstance(elements.read_raw(text), tuple | Fault)
    assert isinstance(elements.read_bracketed(text, unknown=True), tuple | Fault)
    assert isinstance(link.read(text, old=True, unknown=True), link.Link | Fault)
    assert isinstance(scan.read((aim or "") + text), scan.Message | Fault)
    for symbology in scan.SYMBOLOGIES:
        assert isinstance(scan.write(symbology, text), str | Fault)


@given(st.lists(element(), min_size=1, max_size=8))
def test_messages_come_back(written: list[Element]) -> None:
    raw = elements.write_raw(written)
    assert elements.read_raw(raw) == tuple(written)
    assert elements.read_bracketed(elements.write_bracketed(written)) == tuple(written)
    sent = scan.write("DM", raw)
    assert sent == "]d2" + raw[1:].replace("^", GS)
    assert read(raw[1:].replace("^", GS), "]d2") == tuple(written)


ATTRIBUTES = tuple(ai for ai in all_ais() if ai.attribute and ai.ai not in ("01", "10"))


@given(
    with_check_digit(14),
    st.lists(element(ATTRIBUTES), max_size=4, unique_by=lambda e: e.ai),
    st.text(SETS["X"], min_size=1, max_size=20),
    st.booleans(),
)
def test_links_come_back(gtin: str, more: list[Element], lot: str, first: bool) -> None:
    key = [Element("01", gtin), Element("10", lot)]
    uri = link.write([*key, *more] if first else [key[0], *more, key[1]])
    assert isinstance(uri, str)
    found = link.read(uri)
    assert isinstance(found, link.Link)
    assert found.path == tuple(key)
    assert sorted(e.ai for e in found.attributes) == sorted(e.ai for e in more)
    assert set(found.attributes) == set(more)
    assert {e for e in read(uri) if isinstance(e, Element)} == {*key, *more}


@given(
    with_check_digit(14),
    st.text(SETS["X"], min_size=1, max_size=20),
    st.text(SETS["X"], min_size=1, max_size=20),
    st.integers(1, 10**8 - 1),
    st.integers(0, 999_999),
    st.integers(0, 5),
    st.permutations(["01", "10", "21", "17", "30", "310"]),
)
def test_items_come_back(
    gtin: str, lot: str, serial: str, count: int, net: int, places: int, order: list[str]
) -> None:
    value = {
        "01": gtin, "10": lot, "21": serial, "17": "260900", "30": str(count), "310": f"{net:06d}",
    }  # fmt: skip
    written = [Element(f"310{places}" if ai == "310" else ai, value[ai]) for ai in order]
    item = parse(elements.write_raw(written)[1:].replace("^", GS), "]C1")
    assert isinstance(item, Item)
    assert (item.gtin, item.lot, item.serial) == (gtin, lot, serial)
    assert (item.expiry_yymmdd, item.count) == ("260900", count)
    whole, rest = divmod(net * 1000, 10**places)
    assert item.net_kg_milli is not None
    assert abs(item.net_kg_milli - whole) <= (2 * rest >= 10**places)
