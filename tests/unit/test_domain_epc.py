"""Tags to identities: vectors that others made, and everything that must be refused."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from gateway.domain.epc import REASONS, EpcIdentity, NotGs1, Sgtin, _Answers, decode_epc

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("STOCKD_DATA", ROOT.parent / "shared" / "data")) / "epc-tds"
ANNEX = [
    json.loads(line) for line in (ROOT / "tests/golden/epc/annex_e3.jsonl").read_text().splitlines()
]


def written(found: Sgtin | EpcIdentity | NotGs1, fields: list[str]) -> dict[str, Any]:
    return {"gtin14": getattr(found, "gtin", None)} | {
        field: getattr(found, field, None) for field in fields if field != "gtin14"
    }


def hexed(*fields: int) -> str:
    """Values and their sizes in bits, one after the other, as whole memory words."""
    pairs = zip(fields[::2], fields[1::2], strict=True)
    bits = "".join(f"{value:0{size}b}" for value, size in pairs)
    bits += "0" * (-len(bits) % 16)
    return f"{int(bits, 2):0{len(bits) // 4}X}"


@pytest.mark.skipif(not DATA.exists(), reason="no data: set STOCKD_DATA")
def test_tags_on_which_independent_libraries_agree() -> None:
    cases = json.loads((DATA / "cross_checked.json").read_text())
    wrong = [
        case
        for case in cases
        if written(decode_epc(case["hex"]), ["tag_uri", "pure_identity"])
        != {key: case[key] for key in ("tag_uri", "pure_identity", "gtin14")}
    ]
    assert wrong == []
    assert len(cases) >= 159


@pytest.mark.parametrize("case", ANNEX, ids=lambda case: case["scheme"])
def test_the_examples_of_the_standard(case: dict[str, Any]) -> None:
    fields = [field for field in case if field not in ("hex", "host")]
    expected = {field: case[field] for field in fields}
    assert written(decode_epc(case["hex"]), fields) == expected
    assert written(decode_epc(case["hex"].lower()), fields) == expected


def test_every_scheme_of_the_standard_has_an_example() -> None:
    assert len({case["scheme"] for case in ANNEX}) == 45
    found = {case["scheme"]: decode_epc(case["hex"]) for case in ANNEX}
    sgtins = {name for name, tag in found.items() if isinstance(tag, Sgtin)}
    assert sgtins == {
        "sgtin-96", "sgtin-198", "sgtin+", "sgtin++", "dsgtin+", "dsgtin++"
    }  # fmt: skip


def test_the_withdrawn_gdti_113_is_still_read() -> None:
    # 9521141.12345 and serial 0042, kept behind a 1
    found = decode_epc(hexed(0x3A, 8, 3, 3, 5, 3, 9521141, 24, 12345, 17, 10042, 58))
    assert isinstance(found, EpcIdentity)
    assert found.tag_uri == "urn:epc:tag:gdti-113:3.9521141.12345.0042"
    assert found.element_string == "(253)95211411234540042"


@pytest.mark.parametrize(
    ("digits", "reason"),
    [
        ("", "hex"),
        ("3", "hex"),
        ("0x3066C4409047E140075BCD15", "hex"),
        (" 3066C4409047E140075BCD1", "hex"),
        ("3066C4409047E140075BC_15", "hex"),
        ("３066C4409047E140075BCD15", "hex"),
        ("00" * 200, "hex"),
        ("000000000000000000000000", "unprogrammed"),
        ("000000000000000000000001", "reserved"),
        ("E28011700000020EC250695C", "tid"),
        ("E2003412DC03011918114622", "tid"),
        ("E0040100012345678901AB00", "tid"),
        ("445730303030303132333435", "reserved"),  # "DW000012345" in ASCII
        ("999908290000000000000004", "legacy"),
        ("80A1B2C3D4E5F607", "legacy"),
        ("08A1B2C3D4E5F607", "legacy"),
        ("CEA1B2C3D4E5F607", "legacy"),
        ("FF66C4409047E140075BCD15", "reserved"),
        ("4266C4409047E140075BCD15", "reserved"),
    ],
)
def test_what_is_no_gs1_tag_says_why(digits: str, reason: str) -> None:
    found = decode_epc(digits)
    assert isinstance(found, NotGs1)
    assert (found.reason, bool(found.detail)) == (reason, True)


def test_the_toggle_bit_says_that_the_memory_is_no_epc() -> None:
    digits = "3066C4409047E140075BCD15"
    assert isinstance(decode_epc(digits, pc=0x3000), Sgtin)
    found = decode_epc(digits, pc=0x31A1)
    assert isinstance(found, NotGs1)
    assert found.reason == "iso"
    assert "A1" in found.detail


@pytest.mark.parametrize(
    ("digits", "reason"),
    [
        ("307EC4409047E140075BCD15", "partition"),
        ("3066C4409047E140075BCD", "length"),
        ("3066C4409047E140075BCD150000", "length"),
        ("3063FFFFFFFFFFFFFFFFFFFF", "range"),  # prefix
        (hexed(0x30, 8, 3, 3, 5, 3, 9521141, 24, 1_000_000, 20, 1, 38), "range"),  # item reference
        ("311BA1B300CE0A6A83000001", "padding"),
        ("311BA1B300CE0A6A830000000000", "length"),
        ("3666C4409047E159B2C2BF100000000000000000000000000001", "padding"),
        ("3666C4409047E159B2C2BF100000000000000000000000000000FFFF", "length"),
        ("3666C4409047E100000000000000000000000000000000000000", "characters"),  # no serial
        (hexed(0x36, 8, 3, 3, 5, 3, 9521141, 24, 0, 20, 65, 7, 0, 7, 66, 7, 0, 129), "padding"),
        (hexed(0x36, 8, 3, 3, 5, 3, 9521141, 24, 0, 20, 32, 7, 0, 143), "characters"),  # a space
        ("3F76451FD612640000000014", "range"),  # coupon serial without the 1 before it
        ("3F76451FD612640000000001", "range"),  # nothing behind the 1
        ("2F320434147495900000162E", "characters"),  # I in a CAGE code
        ("3D76451FD400000000003039000000000000", "characters"),  # no part
        ("F73795211411234538566CB0AFC5", "padding"),
        ("F73795211411234538566CB0AFC400000", "length"),
        ("F73795211411234538566C", "length"),
        ("F7379521141123454385", "check_digit"),
        ("F7379521141A23453856", "range"),
        ("F737952114112345300", "characters"),
        ("F737952114112345", "length"),
        ("F73795211411234538566CB0AF", "length"),
        ("F7379521141123453C566CB0AFC4", "encoding"),  # method 6
        ("F7379521141123453060", "length"),
        ("F737952114112345301F0", "range"),  # one digit, and that is 15
        ("FB3F2CDE795211411234538566CB0AFC4", "date"),
        ("FB342FDE795211411234538566CB0AFC4", "date"),
        ("F1319521141123454", "check_digit"),
        ("FA39521141A", "encoding"),
        ("FA3952F", "range"),
        ("FD3795211411234538566CB0AFC4", "length"),
    ],
)
def test_a_tag_that_breaks_its_scheme_is_refused(digits: str, reason: str) -> None:
    found = decode_epc(digits)
    assert isinstance(found, NotGs1)
    assert found.reason == reason


def test_a_hostname_in_code_40() -> None:
    table = "\0ABCDEFGHIJKLMNOPQRSTUVWXYZ-.:0123456789"
    name = "ID.GS1.ORG"
    values = [table.index(char) for char in name.ljust(12, "\0")]
    code = [
        field
        for a, b, c in zip(values[::3], values[1::3], values[2::3], strict=True)
        for field in (1600 * a + 40 * b + c + 1, 16)
    ]
    found = decode_epc(hexed(0xEF0095201234567891235, 84, 0, 1, len(name), 6, *code))
    assert isinstance(found, EpcIdentity)
    assert found.digital_link == "https://ID.GS1.ORG/00/095201234567891235"


def test_more_aidc_data_behind_the_epc_is_told_and_left_alone() -> None:
    found = decode_epc("F7B795211411234538566CB0AFC5FFFFFFFFFFFF")
    assert isinstance(found, Sgtin)
    assert (found.gtin, found.serial, found.aidc) == ("79521141123453", "32a/b", True)


def test_what_a_uri_escapes_of_a_serial() -> None:
    serial = "\"%&/<>?!'()*+,-.:;=_"
    codes = [field for char in serial.ljust(20, "\0") for field in (ord(char), 7)]
    found = decode_epc(hexed(0x36, 8, 3, 3, 5, 3, 9521141, 24, 12345, 20, *codes))
    assert isinstance(found, Sgtin)
    assert found.serial == serial
    escaped = "%22%25%26%2F%3C%3E%3F!'()*+,-.:;=_"
    assert found.pure_identity == f"urn:epc:id:sgtin:9521141.012345.{escaped}"
    link = "%22%25%26%2F%3C%3E%3F%21%27%28%29%2A%2B%2C-.%3A%3B%3D_"
    assert found.digital_link == f"https://id.gs1.org/01/09521141123454/21/{link}"


def test_an_sgln_without_extension_is_a_plain_gln() -> None:
    found = decode_epc("3276451FD460720000000000")
    assert isinstance(found, EpcIdentity)
    assert found.pure_identity == "urn:epc:id:sgln:9521141.12345.0"
    assert found.element_string == "(414)9521141123454"


def test_the_memory_of_answers_is_bounded() -> None:
    answers = _Answers()
    for number in range(70_000):
        assert answers[f"30{number:022X}"].gtin is not None
        assert len(answers) <= 65_536


def test_reasons_are_a_fixed_list() -> None:
    assert len(set(REASONS)) == len(REASONS)
