"""GS1 by the book: rows of the standards that the official vectors leave out."""

from __future__ import annotations

import pytest

from gateway.domain.gs1 import Element, Fault, elements, link, rules, scan

GTIN = "09506000134352"
WWW = "https://example.com"


@pytest.mark.parametrize(
    ("raw", "fault"),
    [
        ("", "no_fnc1"),
        ("^", "empty"),
        ("^01", "no_value"),
        (f"01{GTIN}", "no_fnc1"),
        ("^10^99A", "no_value"),
        (f"^01{GTIN}^^99A", "unknown_ai"),
        ("^10" + "A" * 21, "unseparated"),
        ("^3999A", "unknown_ai"),
        ("^8008260930", "too_short"),
        ("^80082609301230599", "unseparated"),
        ("^7007260930260932", "linter"),
        ("^4235A", "too_short"),
    ],
)
def test_raw_faults(raw: str, fault: str) -> None:
    found = elements.read_raw(raw)
    assert isinstance(found, Fault)
    assert found.code == fault


@pytest.mark.parametrize(
    "raw", ["^10A^", "^800826093012", "^8008260930123059", "^7007260930260930"]
)
def test_raw_accepts(raw: str) -> None:
    assert isinstance(elements.read_raw(raw), tuple)


@pytest.mark.parametrize(
    ("text", "unknown", "found"),
    [
        (r"(99)A\(B)C(10)D", False, (Element("99", "A(B)C"), Element("10", "D"))),
        (r"(99)\(A", False, (Element("99", "(A"),)),
        ("(89)A", False, None),
        ("(89)A", True, (Element("89", "A"),)),
        ("(999)A", True, None),
        ("(99)", False, None),
        ("(99)(10)A", False, None),
        ("(99", False, None),
        ("99)A", False, None),
        ("A(99)A", False, None),
        ("", False, None),
        ("(99)A|(98)B", False, None),
        ("(99)" + "A" * 91, False, None),
    ],
)
def test_brackets(text: str, unknown: bool, found: tuple[Element, ...] | None) -> None:
    read = elements.read_bracketed(text, unknown)
    assert (read if isinstance(read, tuple) else None) == found
    if found is not None:
        assert elements.write_bracketed(found) == text


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (f"(01){GTIN}(02){GTIN}(37)1", "excluded"),
        (f"(02){GTIN}(37)1", "missing"),
        (f"(00)106141412345678908(02){GTIN}(37)1", None),
        (f"(01){GTIN}(3103)000001(3102)000001", "excluded"),
        (f"(01){GTIN}(3103)000001(3103)000001", None),
        ("(8011)1(8010)6141ABC", None),
        (f"(01){GTIN}(427)BY", "missing"),
        (f"(01){GTIN}(422)840(427)BY", None),
        (f"(01){GTIN}(21)S(8030)A(8003)09526064000028", "unserialised"),
        (f"(01){GTIN}(21)S(8030)A(8003)09526064000028X", None),
        ("(415)9506000134352", "missing"),
        ("(90)A(90)B", "repeated"),
    ],
)
def test_rules(text: str, fault: str | None) -> None:
    found = elements.split_bracketed(text)
    assert isinstance(found, tuple)
    broken = rules.check(found)
    assert (broken.code if broken else None) == fault


def test_every_fault_of_a_label() -> None:
    found = elements.split_bracketed("(17)261301(10)A(10)B(8030)A(255)9506000134352")
    assert isinstance(found, tuple)
    assert [(fault.code, fault.ai) for fault in rules.faults(found)] == [
        ("linter", "17"), ("repeated", "10"), ("missing", "10"), ("unserialised", "255"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("uri", "bracketed"),
    [
        (f"{WWW}:8080/a/b/c/01/{GTIN}?&&99=A&&98=B&&#x?y=/z", f"(01){GTIN}(99)A(98)B"),
        (f"{WWW}/01/{GTIN}?", f"(01){GTIN}"),
        (f"{WWW}/01/{GTIN}/22/A/21/B", f"(01){GTIN}(22)A(21)B"),
        (f"{WWW}/01/{GTIN}/10/A%2fB%2b?99=1%2B1", f"(01){GTIN}(10)A/B+(99)1+1"),
        (f"{WWW}/01/{GTIN}/10/A%ZZ%", f"(01){GTIN}(10)A%ZZ%"),
        (f"{WWW}/01/{GTIN}?linkType=gs1:pip&x", f"(01){GTIN}"),
        (f"{WWW}/8010/6141ABC/8011/12", "(8010)6141ABC(8011)12"),
        (f"{WWW}/415/9506000134352/8020/A", "(415)9506000134352(8020)A"),
        (f"{WWW}/414/9506000134352/7040/1ABC", "(414)9506000134352(7040)1ABC"),
        (f"{WWW}/8006/{GTIN}0102/10/A", f"(8006){GTIN}0102(10)A"),
        # the last key in the path counts; what stands before belongs to the stem
        (f"{WWW}/00/106141412345678908/01/{GTIN}", f"(01){GTIN}"),
        (f"{WWW}/414/9506000134352?01={GTIN}", f"(414)9506000134352(01){GTIN}"),
    ],
)
def test_links(uri: str, bracketed: str) -> None:
    found = link.read(uri)
    assert isinstance(found, link.Link), found
    assert elements.write_bracketed(found.elements) == bracketed


@pytest.mark.parametrize(
    ("uri", "fault"),
    [
        (f"ftp://a/01/{GTIN}", "uri"),
        (f"Https://a/01/{GTIN}", "uri"),
        (f"https://a b/01/{GTIN}", "uri"),
        (f"https://u@a/01/{GTIN}", "uri"),
        (f"https:///01/{GTIN}", "no_key"),
        (f"https://01/{GTIN}", "no_key"),
        ("https://a", "no_key"),
        (f"{WWW}/01/{GTIN}/10/", "no_value"),
        (f"{WWW}/01/{GTIN}/10/A/", "no_key"),
        (f"{WWW}/01/{GTIN}/21/A/10/B", "bad_path"),
        (f"{WWW}/01/{GTIN}/10/A/10/B", "bad_path"),
        (f"{WWW}/01/{GTIN}/10/A/235/B", "bad_path"),
        (f"{WWW}/01/{GTIN}/17/260930", "bad_path"),
        (f"{WWW}/01/{GTIN}/foo/bar", "unknown_ai"),
        (f"{WWW}/01/{GTIN}?21=A", "no_attribute"),
        (f"{WWW}/01/{GTIN}?10=A", "in_path"),
        (f"{WWW}/01/{GTIN}/21/A?10=A", "in_path"),
        (f"{WWW}/01/{GTIN}?01={GTIN}", "duplicate"),
        (f"{WWW}/01/{GTIN}?99=", "no_value"),
        (f"{WWW}/01/{GTIN}?99=A&89=B", "unknown_ai"),
        (f"{WWW}/01/{GTIN}?99=A+B", "linter"),
        (f"{WWW}/01/{GTIN}?99=A%5EB", "caret"),
        (f"{WWW}/01/{GTIN}/10/%C3%A9", "linter"),
        (f"{WWW}/01/{GTIN}/10/" + "A" * 21, "value_length"),
        (f"{WWW}/01/09506000134353", "linter"),
        (f"{WWW}/01/9506000134352", "too_short"),
        (f"{WWW}/gtin/{GTIN}", "no_key"),
        (f"{WWW}/01/{GTIN}/lot/A", "no_key"),
    ],
)
def test_no_links(uri: str, fault: str) -> None:
    found = link.read(uri)
    assert isinstance(found, Fault)
    assert found.code == fault


def test_links_of_early_versions() -> None:
    for uri in (f"{WWW}/gtin/9506000134352/lot/A/ser/B", f"{WWW}/01/9506000134352/10/A/21/B"):
        found = link.read(uri, old=True)
        assert isinstance(found, link.Link)
        assert elements.write_bracketed(found.elements) == f"(01){GTIN}(10)A(21)B"
    found = link.read(f"{WWW}/01/{GTIN}?89=B", unknown=True)
    assert isinstance(found, link.Link)
    assert found.attributes == (Element("89", "B"),)


@pytest.mark.parametrize(
    ("bracketed", "stem", "uri"),
    [
        (f"(01){GTIN}(10)A/B(99)(C", None, None),
        (rf"(01){GTIN}(10)A/B(99)\(C", None, f"https://id.gs1.org/01/{GTIN}/10/A%2FB?99=%28C"),
        (f"(10)A(01){GTIN}(22)V", f"{WWW}/stem/", f"{WWW}/stem/01/{GTIN}/22/V/10/A"),
        ("(414)9506000134352(7040)1ABC", WWW, f"{WWW}/414/9506000134352/7040/1ABC"),
        ("(414)9506000134352(254)A(7040)1ABC", WWW, None),
        ("(10)A", WWW, None),
    ],
)
def test_written_links(bracketed: str, stem: str | None, uri: str | None) -> None:
    found = elements.read_bracketed(bracketed)
    written = found if isinstance(found, Fault) else link.write(found, stem)
    assert (written if isinstance(written, str) else None) == uri


@pytest.mark.parametrize(
    ("sent", "data"),
    [
        ("]E02112345678900", "2112345678900"),
        ("]E402345673", "02345673"),
        ("]E02112345678900|]e010A\x1d98XYZ", "2112345678900|^10A^98XYZ"),
        (f"]C101{GTIN}10A\x1d", f"^01{GTIN}10A^"),
        ("]Q1^A", r"\^A"),
        ("]d1\\A^", r"\A^"),
        ("]J0A|^B", "A|^B"),
    ],
)
def test_scans_there_and_back(sent: str, data: str) -> None:
    found = scan.read(sent)
    assert isinstance(found, scan.Message), found
    assert found.data == data
    assert scan.write(found.symbology, data) == sent


@pytest.mark.parametrize(
    "sent",
    [
        "]E02112345678901", "]E0211234567890", "]E02112345678900|]e0", "]E02112345678900]e010A",
        "]E02112345678900|]e017261301", "]C110A", f"]C101{GTIN}^10A", f"]e001{GTIN}02{GTIN}371",
        "]Q1https://example.com/", f"]d1{WWW}/01/{GTIN}?3922=1", "]Q2A", "]I109506000134352", "]c1",
        "09506000134352", "",
    ],
)  # fmt: skip
def test_no_scans(sent: str) -> None:
    assert isinstance(scan.read(sent), Fault)


@pytest.mark.parametrize(
    ("symbology", "data", "sent"),
    [
        ("UPCA", "41600033610", "]E00416000336108"),
        ("UPCA", "^0100416000336108", "]E00416000336108"),
        ("UPCA", "^0109506000134352", None),
        ("UPCE", "001234000057", "]E00001234000057"),
        ("UPCE", "^0100001234000057|^99A", "]E00001234000057|]e099A"),
        ("UPCE", "416000336108", None),
        ("EAN8", "^0100000002345673", "]E402345673"),
        ("EAN8", "0234567", "]E402345673"),
        ("EAN13", "2112345678901", None),
        ("EAN13", "2112345678900|10A", None),
        ("DataBarOmni", "2401234567890", "]e00124012345678905"),
        ("DataBarOmni", "^0124012345678905|^99A", "]e0012401234567890599A"),
        ("DataBarLimited", "^0124012345678905", None),
        ("DataBarExpanded", "24012345678905", None),
        ("DataBarExpanded", f"^01{GTIN}|^99A", f"]e001{GTIN}99A"),
        ("DataBarExpanded", f"^01{GTIN}10A|^99A", f"]e001{GTIN}10A\x1d99A"),
        ("GS1_128_CCC", "^0112312312312333|^98C^97X", "]e00112312312312333\x1d98C\x1d97X"),
        ("QR", f"^01{GTIN}8200http://example.com", f"]Q301{GTIN}8200http://example.com"),
        ("QR", f"^01{GTIN}|^99A", None),
        ("DM", f"{WWW}/gtin/{GTIN}", f"]d1{WWW}/gtin/{GTIN}"),
    ],
)
def test_written_scans(symbology: scan.Symbology, data: str, sent: str | None) -> None:
    written = scan.write(symbology, data)
    assert (written if isinstance(written, str) else None) == sent
