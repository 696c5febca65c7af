"""Which events an event rests on, and which rest on it: sale, pick, loss, found, void.

Here: the walk through the journal's references, bounded. Not here: words (`why_words`), SQL
(`journal.reader`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from gateway.domain.reading import Word
from gateway.journal.reader import Evidence, Reader

LINKS_MAX: Final = 32
"""Events shown on either side at most."""
AHEAD_MAX: Final = 200_000
"""Events looked through for what rests on one: weeks of a busy shop."""


class Lineage(Word, frozen=True):
    """An event among its kin."""

    event: Evidence
    beside: tuple[Evidence, ...]
    """Booked of the same observation."""
    rests_on: tuple[Evidence, ...]
    """What came before, the newest first."""
    led_to: tuple[Evidence, ...]
    """What came of it, the oldest first."""


def lineage(reader: Reader, which: int | str) -> Lineage | None:
    """The kin of an event by seq or id; None when there is no such event."""
    event = reader.evidence(which)
    if event is None:
        return None
    beside = _found(reader, reader.booked_with(event.event.seq)[:LINKS_MAX])
    return Lineage(event, beside, _before(reader, [event, *beside]), _after(reader, event))


def _found(reader: Reader, seqs: Iterable[int]) -> tuple[Evidence, ...]:
    return tuple(found for seq in seqs if (found := reader.evidence(seq)) is not None)


def _before(reader: Reader, known: list[Evidence]) -> tuple[Evidence, ...]:
    seen = {one.event.seq for one in known}
    waiting = list(known)
    out: list[Evidence] = []
    while waiting and len(out) < LINKS_MAX:
        one = waiting.pop(0)
        for which in (one.because.seq, one.event.corr):
            found = None if which is None else reader.evidence(which)
            if found is not None and found.event.seq not in seen:
                seen.add(found.event.seq)
                out.append(found)
                waiting.append(found)
    return tuple(sorted(out, key=lambda one: -one.event.seq))


def _after(reader: Reader, root: Evidence) -> tuple[Evidence, ...]:
    seqs, ids = {root.event.seq}, {root.event.id}
    out: list[Evidence] = []
    for seq, earlier, corr in reader.resting(root.event.seq, AHEAD_MAX):
        if earlier in seqs or corr in ids:
            found = reader.evidence(seq)
            if found is None:
                continue
            seqs.add(seq)
            ids.add(found.event.id)
            out.append(found)
            if len(out) == LINKS_MAX:
                break
    return tuple(out)
