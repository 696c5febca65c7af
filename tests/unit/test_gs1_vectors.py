"""GS1's own vectors, every row under its own name: scans, element strings, Digital Links, rules.

The rows come from the unit tests of the GS1 Barcode Syntax Engine. Those switch options between
rows (old forms of Digital Links, unknown AIs) and the rows do not tell: so an accepted row is read
with them on, and a refused one must be refused with them off.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from gateway.domain.gs1 import elements, link, rules, scan
from gateway.domain.gs1.words import Element, Fault

DATA = Path(os.environ.get("STOCKD_DATA") or Path(__file__).parents[3] / "shared" / "data")
VECTORS = DATA / "gs1-syntax" / "vectors.json"

Row = dict[str, Any]
RULES = {
    "validateAImutex": rules.excluded,
    "validateAIrequisites": rules.missing,
    "validateAIrepeats": rules.repeated,
    "validateDigSigRequiresSerialisedKey": rules.unserialised,
}


def rows(kind: str) -> Any:
    """Parametrises a test with the rows of one kind, each named by its number and its input."""
    if not VECTORS.exists():
        reason = f"no GS1 vectors: {VECTORS} is not there (STOCKD_DATA names another folder)"
        return pytest.mark.parametrize("row", [pytest.param({}, marks=pytest.mark.skip(reason))])
    found: list[Row] = json.loads(VECTORS.read_text("utf-8"))[kind]
    names = [f"{number}:{next(iter(row.values()))!r}" for number, row in enumerate(found)]
    return pytest.mark.parametrize("row", found, ids=names)


def by_the_book(found: tuple[Element, ...] | Fault) -> str | None:
    """What the engine says of a message with every check on: bracketed, None where refused."""
    if isinstance(found, Fault) or rules.check(found) is not None:
        return None
    return elements.write_bracketed(found)


@rows("processScanData")
def test_scans(row: Row) -> None:
    found = scan.read(row["scan"])
    assert isinstance(found, scan.Message) == row["accept"], found
    if isinstance(found, scan.Message):
        assert (found.symbology, found.data) == (row["symbology"], row["data"])
        if found.elements or not found.symbology.startswith("EAN"):
            composite = (row["engine_ai"] or "").rpartition("|")[2]
            assert elements.write_bracketed(found.elements) == composite


@rows("parseDLuri")
def test_digital_links(row: Row) -> None:
    uri, wanted = row["uri"], row["parser_accept"]
    found = link.read(uri, old=wanted, unknown=wanted)
    assert isinstance(found, link.Link) == wanted, found
    if isinstance(found, link.Link):
        assert elements.write_raw(found.elements) == row["parser_data"]
    strict = link.read(uri)
    ai = by_the_book(strict if isinstance(strict, Fault) else strict.elements)
    assert (ai is not None, ai) == (row["engine_accept_full_validation"], row["engine_ai"])


@rows("parseAIdata")
def test_bracketed(row: Row) -> None:
    found = elements.read_bracketed(row["bracketed"], unknown=row["parser_accept"])
    assert isinstance(found, tuple) == row["parser_accept"], found
    if isinstance(found, tuple):
        assert elements.write_raw(found) == row["parser_data"]
    strict = elements.read_bracketed(row["bracketed"])
    accepted = by_the_book(strict) is not None
    assert accepted == row["engine_accept_full_validation"]
    if accepted and isinstance(strict, tuple):
        assert elements.write_raw(strict) == row["engine_data"]


@rows("processAIdata")
def test_raw(row: Row) -> None:
    found = elements.read_raw(row["raw"])
    assert isinstance(found, tuple) == row["parser_accept"], found
    ai = by_the_book(found)
    assert (ai is not None, ai) == (row["engine_accept_full_validation"], row["engine_ai"])


@rows("validateAIs")
def test_associations(row: Row) -> None:
    found = elements.split_bracketed(row["ai"], unknown=True)
    assert isinstance(found, tuple), found
    assert (RULES[row["check"]](found) is None) == row["accept"]


@rows("generateDLuri")
def test_written_links(row: Row) -> None:
    found = elements.read_bracketed(row["ai"], unknown=True)
    uri = found if isinstance(found, Fault) else link.write(found, row["stem"])
    assert isinstance(uri, str) == row["accept"], uri
    if isinstance(uri, str):
        assert uri == row["uri"]


@rows("generateScanData")
def test_written_scans(row: Row) -> None:
    written = scan.write(row["symbology"], row["data"])
    assert (written if isinstance(written, str) else None) == row["scan"], written
