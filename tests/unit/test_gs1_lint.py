"""GS1's tests of values: of each, values that pass and values that do not."""

from __future__ import annotations

import pytest

from gateway.domain.gs1 import lint

COUPON = "061414112345611190123"
"""Company 614141, offer 123456, save value 1, requirement 9 of code 0, family 123."""

CASES: dict[str, tuple[list[str], list[str]]] = {
    "couponcode": (
        [
            COUPON,
            COUPON + "1" "0" "12" "0" "123" "9",
            COUPON + "1" "3" "11" "9" "123" "0614141" + "2" "11" "0" "123" "1" "0614141",
            COUPON + "3" "261231" + "4" "260101",
            COUPON + "5" "0" "123456" + "6" "1" "1234567" + "9" "0" "1" "0" "1",
        ],
        [
            "", "A", COUPON[:-1], COUPON + "7", "7" + COUPON[1:], COUPON[:13] + "0" + COUPON[14:],
            COUPON + "1", COUPON + "14", COUPON + "3" "261300", COUPON + "3" "260900",
            COUPON + "3" "260101" + "4" "261231", COUPON + "5" "0" "12345", COUPON + "60",
            COUPON + "9" "3" "000", COUPON + "9" "000",
        ],
    ),
    "couponposoffer": (
        ["0" "0614141" "123456" "0" "123456", "1" "6614141123456" "123456" "9" "123456789012345"],
        ["", "x", "2" "0614141" "123456" "0" "123456", "0" "7614141" "123456" "0" "123456",
         "0" "0614141" "123456" "0" "12345", "0" "0614141" "123456" "0" "1234567"],
    ),
    "csum": (["09506000134352", "96385074", "106141412345678908"], ["09506000134353", "", "0A"]),
    "csumalpha": (
        ["1987654Ad4X4bL5ttr2310c2K", "12345678901234567890123NT", "22"],
        ["1987654Ad4X4bL5ttr2310c2L", "1987654Ad4X4bL5ttr2310c21", "2", "", "1987654 d2K",
         "123456789012345678901234NT"],
    ),
    "gcppos1": (["6141", "6141ABC"], ["614", "614A", ""]),
    "gcppos2": (["X6141"], ["6141", "1614A"]),
    "hasnondigit": (["1A"], ["12"]),
    "hh": (["00", "23"], ["24", "AA"]),
    "hhmi": (["0000", "2359"], ["2400", "2360", "235"]),
    "hyphen": (["-"], ["+", "1"]),
    "iban": (
        ["FR7630006000011234567890189", "GB82WEST12345698765432", "NO9386011117947"],
        ["FR7630006000011234567890188", "XX7630006000011234567890189", "GB82WEST1234569876543a",
         "GB82WEST", "GB82WEST12345698765432²", ""],
    ),
    "importeridx": (["A", "z", "0", "-", "_"], ["=", "+", "AB", ""]),
    "iso3166": (["156", "840", "004"], ["999", "000", "1"]),
    "iso3166999": (["156", "999"], ["998"]),
    "iso3166alpha2": (["CN", "DE"], ["XX", "cn", ""]),
    "iso4217": (["156", "978"], ["000", "999 "]),
    "iso5218": (["0", "1", "2", "9"], ["3", ""]),
    "latitude": (["0000000000", "1800000000"], ["1800000001"]),
    "longitude": (["0000000000", "3600000000"], ["3600000001", "-000000001"]),
    "mediatype": (["01", "10", "80", "99"], ["00", "11", "79"]),
    "mi": (["00", "59"], ["60"]),
    "nonzero": (["10", "1"], ["0", "0000"]),
    "nozeroprefix": (["1", "10"], ["0", "01", ""]),
    "packagetype": (["CT", "9", "200"], ["C", "ct", ""]),
    "pcenc": (["A%20B", "%C3%A9", ""], ["%", "%2", "A%2G"]),
    "pieceoftotal": (["0102", "9999"], ["0001", "0100", "0201", "010"]),
    "posinseqslash": (["1/3", "3/3", "10/10"], ["0/3", "4/3", "1/03", "1/", "/3", "13", "1/2/3"]),
    "ss": (["59"], ["60"]),
    "winding": (["0", "1", "9"], ["2", ""]),
    "yesno": (["0", "1"], ["2", ""]),
    "yymmd0": (["260930", "260900", "240229", "000229"], ["261301", "260931", "250229", "26093"]),
    "yymmdd": (["260930", "240229"], ["260900", "260431"]),
    "yyyymmdd": (["20240229", "19000228"], ["19000229", "20240200", "2024022"]),
    "zero": (["0", "00"], ["1"]),
}  # fmt: skip


def test_every_test_has_cases() -> None:
    assert CASES.keys() == lint.LINTERS.keys()


@pytest.mark.parametrize("linter", CASES)
def test_values(linter: str) -> None:
    good, bad = CASES[linter]
    assert [value for value in good if not lint.passes(linter, value)] == []
    assert [value for value in bad if lint.passes(linter, value)] == []


@pytest.mark.parametrize(
    ("charset", "good", "bad"),
    [
        ("N", "0123456789", "１"),
        ("X", "!\"%&'()*+,-./0:;<=>?AZ_az", "#"),
        ("X", "", "^"),
        ("X", "a", "é"),
        ("Y", "#-/09AZ", "a"),
        ("Z", "-_09AZaz", "+"),
        ("Z", "1==", "12=="),
        ("Z", "12=", "==="),
    ],
)
def test_character_sets(charset: str, good: str, bad: str) -> None:
    assert lint.in_charset(charset, good)
    assert not lint.in_charset(charset, bad)
