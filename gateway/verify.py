"""`stockd verify`: the record folded again by a second door, and compared with what it says.

Here: chain, gaps, sums, balances, and the journal's observations through `core.fuse` once more. Not
here: repair: a journal that does not verify is evidence.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from gateway.core.book import Book
from gateway.core.fuse import Fusion
from gateway.core.postings import Poster
from gateway.core.sensors import weighed
from gateway.domain.messages import STREAMS
from gateway.domain.observation import Observation
from gateway.domain.reading import Word
from gateway.domain.settings import Settings
from gateway.domain.stock import BASKET, VIRTUAL, StockEvent, imbalance
from gateway.domain.store import Store
from gateway.domain.wire import chain_next, read_stock_body
from gateway.journal.reader import Reader
from gateway.replay import Past

FINDINGS_MAX = 100


UNREADABLE: Final = StockEvent(seq=0, id="", kind="epoch_open", at_ns=0)


class Verdict(Word, frozen=True):
    """What was looked at, and all that is wrong with it (at most FINDINGS_MAX)."""

    stock_events: int
    ops_events: int
    observations: int
    folded_events: int
    folded: bool
    """False: the configuration was changed and not yet started with, so no fold can agree."""
    findings: tuple[str, ...]


def verify(reader: Reader, settings: Settings, store: Store, config_sha256: str) -> Verdict:
    """Everything that can be checked without a device, a link or a clock."""
    findings: list[str] = []
    counts = {stream: _chain(reader, stream, findings) for stream in STREAMS}
    _balances(reader, findings)
    folded = (reader.meta("config") or "").split(" ")[0] == config_sha256
    folds = observations = 0
    if folded:
        folds, observations = _fold(reader, settings, store, findings)
    return Verdict(
        counts["stock"], counts["ops"], observations, folds, folded, tuple(findings[:FINDINGS_MAX])
    )


def _event(body: bytes) -> StockEvent:
    """An event as it stands; what cannot be read any more is one without lines.

    Its bytes are not those that were chained: that is the finding, and the fold adds its own.
    """
    try:
        return read_stock_body(body)
    except msgspec.MsgspecError:
        return UNREADABLE


def _chain(reader: Reader, stream: str, findings: list[str]) -> int:
    """Gapless, and each hash follows from the one before and the bytes as they stand."""
    count, previous, expected = 0, b"", 0
    for seq, body, chain in reader.rows(stream):  # type: ignore[arg-type]
        if count == 0:
            previous, expected = reader.chain_at(stream, seq - 1) or b"", seq  # type: ignore[arg-type]
        if seq != expected:
            findings.append(f"{stream}: a gap, {expected} to {seq - 1} are missing")
            previous = reader.chain_at(stream, seq - 1) or previous  # type: ignore[arg-type]
        if previous and chain_next(previous, body) != chain:
            findings.append(f"{stream} {seq}: its bytes are not those that were chained")
        if stream == "stock" and (wrong := imbalance(_event(body).lines)) is not None:
            findings.append(f"stock {seq}: does not balance: {wrong}")
        previous, expected, count = chain, seq + 1, count + 1
    return count


def _balances(reader: Reader, findings: list[str]) -> None:
    """The balances are the sum of the events, each event's `after` the sum so far."""
    sums: dict[tuple[str, str, str], int] = {}
    whole = reader.bounds("stock")[0] == 1
    for seq, body, _ in reader.rows("stock"):
        for line in _event(body).lines:
            key = (line.loc, line.gtin, line.lot or "")
            told = line.loc == BASKET or line.loc not in VIRTUAL
            if key not in sums and line.after is not None:
                sums[key] = line.after - line.d  # a pruned record begins somewhere
                if whole and sums[key]:
                    findings.append(f"stock {seq}: {line.loc} begins at {sums[key]}, not at 0")
            sums[key] = sums.get(key, 0) + line.d
            if told and line.after != sums[key]:
                findings.append(
                    f"stock {seq}: says {line.after} of {line.gtin} at {line.loc}, "
                    f"the sum is {sums[key]}"
                )
    for b in reader.balances():
        key = (b.loc, b.gtin, b.lot)
        told = b.loc == BASKET or b.loc not in VIRTUAL
        if told and key in sums and sums[key] != b.qty_milli:
            findings.append(f"balance of {b.gtin} at {b.loc}: {b.qty_milli}, sum {sums[key]}")


class _Folded(Past):
    """The fold's own past, and what the journal holds from before its first event, no later."""

    def __init__(self, reader: Reader, first: int) -> None:
        super().__init__()
        self._reader, self._first = reader, first

    def event(self, which: int | str) -> StockEvent | None:
        mine = super().event(which)
        if mine is None and (found := self._reader.event(which)) and found.seq < self._first:
            return found
        return mine

    def voided(self, event_id: str) -> bool:
        seq = self._reader.void_of(event_id)
        return super().voided(event_id) or (seq is not None and seq < self._first)


def _fold(reader: Reader, settings: Settings, store: Store, findings: list[str]) -> tuple[int, int]:
    """The observations through fuse and book again: the same events, or a finding."""
    saved, _ = reader.fold_start()
    history = _Folded(reader, saved.position.next_seq)
    inst = reader.meta("inst") or ""
    poster = Poster(store, Book(saved.balances), inst, saved.position.next_seq, history)
    fusion = Fusion(store, settings.fusion, poster, weighed(settings), saved.parts)
    position = reader.saved().position
    seen = 0
    for event in _events(
        fusion, poster, reader.observations(), saved.position.next_observation, position.at_ns
    ):
        history.add(event)
    for n, _observation in reader.observations():
        seen += n >= saved.position.next_observation
    journalled = {
        seq: _event(body) for seq, body, _ in reader.rows("stock")
        if seq >= saved.position.next_seq
    }  # fmt: skip
    for seq in sorted(journalled.keys() | history.by_seq.keys()):
        was, now = journalled.get(seq), history.by_seq.get(seq)
        if was is None or now is None:
            findings.append(f"stock {seq}: {'not' if was is None else 'only'} in the journal")
        elif not _same(was, now):
            findings.append(f"stock {seq}: journal says {_short(was)}, the fold {_short(now)}")
    return len(history.by_seq), seen


def _events(
    fusion: Fusion,
    poster: Poster,
    observations: Iterable[tuple[int, Observation]],
    first: int,
    end_ns: int,
) -> Iterator[StockEvent]:
    for n, observation in observations:
        if n < first:
            continue
        while (due := fusion.deadline()) is not None and due <= observation.at_ns:
            fusion.advance(due)
        fusion.observe(n, observation)
        fusion.watches.alerts.take()
        yield from (posted.event for posted in poster.take()[0])
    while (due := fusion.deadline()) is not None and due <= end_ns:
        fusion.advance(due)
    yield from (posted.event for posted in poster.take()[0])


def _same(journalled: StockEvent, folded: StockEvent) -> bool:
    """Equal but for the nanoseconds that the wire does not carry."""
    return _short(journalled) == _short(folded) and journalled.id == folded.id


def _short(event: StockEvent) -> tuple[object, ...]:
    return (
        event.kind, event.at_ns // 1_000_000, event.lines, event.conf, event.src, event.ref,
        event.corr, event.reason, event.open,
    )  # fmt: skip
