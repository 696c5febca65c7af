"""The RFID channel of the store benchmark: ALGORITHMS 8, rows R1 to R7.

Figures of `measure(seed, level)`; `smurf0.05.`, `smurf0.001.`, `fixed5.`, `fixed30.`, `fixed600.`
before the name: the baselines, on the same reports. Counts stand beside, so that seeds pool
(`pooled`). The cells, four zones each:

* R1 to R4: 200 pieces, 90 min through a whole day's traffic, at the level's radio. `R1.wrong`:
  tag-seconds in the wrong state per tag-second present. `R2.per_tag_hour`, `R3.per_tag_hour`: false
  EXITING and DEPARTED. `R4.p50_s`, `R4.p99_s`: from the moment a tag leaves (sweeps apart) to
  EXITING, as known at the gateway; `R4.above12`, `R4.above45`: shares that took longer, which pool;
  `R4/up.`: those during which the reader was up. `R4/sweep.max_s`, `.above60`: a product's pieces
  all taken within 15 s, from the last of them to the last EXITING; `R4/sweep/up.` again.
* R1/mismatch: 40 min of it with twice as many people in between (7.6).
* R1/brisk: 48 pieces under the same crowd: each stays half an hour or so.
* R4/zone: everything of one zone taken at once; a reference tag is glued to it. R4/bare: the same
  without: an antenna that hears nothing at all makes no visit. `.max_s` is 120 when never noticed.
* R5: 100 pieces that nobody touches or hides, away for 30 s each: reader silent, reader known to be
  lost, one antenna, a link that stalls and delivers afterwards. `R5.caused`: EXITING within it or
  10 s after, and every DEPARTED.
* R6: chance of a read 0.40, spread 0.6, nobody in between, no outages. R7: 2 % strays, 6 dB, 20
  pieces an hour carried from each zone to another; `R7.right`: time in the right zone, of the time
  present and held somewhere.

`recorded(data)`: the figures of real reads. Not here: physics (`browsing`, `tags`), judgement
(`present`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from random import Random
from typing import Final, Protocol

from gateway.bench.store import tag_recordings
from gateway.bench.store.browsing import Crowd, Day, Floor, Laid, browse
from gateway.bench.store.present import Noticed, Score
from gateway.bench.store.smurf import Change, Smurf, Timeout
from gateway.bench.store.tags import Antennas, Lost, Outage, OutageKind, Radio, Report, outages
from gateway.core.presence import Zones
from gateway.core.readers import ReaderRules
from gateway.domain.units import NS_PER_S

_CALM: Final = Crowd(300.0, 4.0, (0.3, 0.3))
_NORMAL: Final = Crowd(60.0, 8.0)
CHANNELS: Final[Mapping[str, tuple[Radio, Crowd, float]]] = {
    "L1": (Radio(0.95, 0.2, rssi_sd_db=3, drift_ppm=1), _CALM, 0.005),
    "L2": (
        Radio(0.80, 0.4, 0.05, 0.005, 6, outage_gap_s=600, clock_s=2, drift_ppm=20, jitter_s=0.05),
        _NORMAL, 0.035,
    ),
    "L3": (
        Radio(0.40, 0.6, 0.05, 0.02, 9, outage_gap_s=300, clock_s=60, drift_ppm=100, jitter_s=1),
        Crowd(20.0, 15.0), 0.10,
    ),
}  # fmt: skip
"""Radio, people, share of pieces with no tag or two (ALGORITHMS 7.2)."""
PRACTICE_S: Final = 180.0
_DAY_S, _PART_S = 5400.0, 2400.0
_SWEPT_S: Final = 120.0
_OUTAGE_S, _AFTER_S = 30.0, 10.0
_OUTAGES: Final[Sequence[OutageKind]] = ("silent", "announced", "antenna", "stalled")

Counts = dict[str, float]


def measure(seed: int, level: str) -> dict[str, float]:
    """All figures of one seed at L1, L2 or L3. Raises KeyError for another level."""
    radio, crowd, untagged = CHANNELS[level]
    floor = Floor(_DAY_S, crowd, untagged=untagged)
    counts: Counts = {}
    times = _presence(counts, floor, radio, seed)
    crowded = replace(floor, seconds=_PART_S, crowd=replace(crowd, gap_s=crowd.gap_s / 2))
    for who, score in judged(crowded, radio, seed):
        _wrong(counts, f"{who}R1/mismatch", score)
    for who, score in judged(replace(floor, seconds=_PART_S, facing=6, products=2), radio, seed):
        _wrong(counts, f"{who}R1/brisk", score)
    times |= _zone_swept("R4/zone", crowd, radio, seed)
    times |= _zone_swept("R4/bare", crowd, replace(radio, references=False), seed)
    _outages(counts, crowd, radio, seed)
    faint = replace(radio, read=0.40, spread=0.6, residual=1.0, outage_gap_s=0)
    for who, score in judged(replace(floor, seconds=_PART_S), faint, seed):
        _wrong(counts, f"{who}R6", score)
        _false(counts, f"{who}R6", score, len(score.exits))
    astray = replace(radio, stray=0.02, rssi_sd_db=6)
    carried = replace(floor, seconds=_PART_S, facing=5, moves_per_h=20.0)
    for who, score in judged(carried, astray, seed):
        counts[f"{who}R7.right_tag_s"] = score.right_s
        counts[f"{who}R7.held_tag_s"] = score.held_s
    return {**times, **derived(counts)}


def recorded(data: Path) -> dict[str, float]:
    """Figures of real reads (`tag_recordings`). Raises FileNotFoundError where there are none."""
    return tag_recordings.figures(data)


_RATIOS: Final = (
    ("wrong", "wrong_tag_s", "present_tag_s"),
    ("per_tag_hour", "false", "tag_hours"),
    ("above12", "over12", "left"),
    ("above45", "over45", "left"),
    ("above60", "over60", "sweeps"),
    ("right", "right_tag_s", "held_tag_s"),
)
_COUNTS: Final = {part for ratio in _RATIOS for part in ratio[1:]} | {"caused", "outages"}


def derived(counts: Mapping[str, float]) -> dict[str, float]:
    """Counts with every ratio that they make. A ratio of nothing is left out."""
    figures = dict(counts)
    for row in dict.fromkeys(name.rpartition(".")[0] for name in counts):
        for ratio, over, under in _RATIOS:
            if counts.get(f"{row}.{under}"):
                figures[f"{row}.{ratio}"] = (
                    counts.get(f"{row}.{over}", 0) / counts[f"{row}.{under}"]
                )
    return figures


def pooled(seeds: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """The figures of several seeds together: ratios of sums, means of p50 and p99, worst sweeps."""
    rows = list(seeds)
    counts: Counts = {}
    times: dict[str, float] = {}
    for name in sorted({name for row in rows for name in row}):
        found, last = [row[name] for row in rows if name in row], name.rpartition(".")[2]
        if last in _COUNTS:
            counts[name] = sum(found)
        elif last in {"p50_s", "p99_s"}:
            times[name] = sum(found) / len(found)
        elif last == "max_s":
            times[name] = max(found)
    return times | derived(counts)


# --- who listens --------------------------------------------------------------------------------


class _Listener(Protocol):
    def until(self, at_s: float) -> Iterator[Change]: ...

    def heard(self, report: Report) -> Iterator[Change]: ...


class Core:
    """Presence as the daemon runs it, with the rules of a shelf's antennas."""

    def __init__(self) -> None:
        self._zones = Zones(ReaderRules("rfid-1", "a1", "shelf").zone)
        self._was: dict[str, tuple[int, bool]] = {}

    def until(self, at_s: float, score: Score) -> None:
        """What happens by itself, at its own time."""
        due_ns = self._zones.deadline()
        while due_ns is not None and due_ns <= at_s * NS_PER_S:
            self._zones.advance(due_ns)
            self._compare(due_ns / NS_PER_S, score)
            due_ns = self._zones.deadline()

    def heard(self, report: Report) -> None:
        """One visit's reads, as the driver gives them."""
        at_ns = round(report.at_s * NS_PER_S)
        seen_us = round((1000 + report.seen_s) * 1e6)
        for tag, rssi_cdbm, count in report.tags:
            self._zones.read(at_ns, report.zone, tag, rssi_cdbm, count, seen_us)

    def lost(self) -> None:
        """The reader is known to be away."""
        self._zones.lost()

    def _compare(self, at_s: float, score: Score) -> None:
        now = {tag: (zone, leaving) for tag, zone, leaving in self._zones.tags()}
        was, self._was = self._was, now
        if now == was:
            return
        for tag in sorted(was.keys() | now.keys()):
            (old, left), (new, leaves) = was.get(tag, (None, True)), now.get(tag, (None, True))
            if (old, left) != (new, leaves):
                before, after = None if left else old, None if leaves else new
                if before != after:
                    score.present(at_s, tag, after)
                if old != new:
                    score.held(at_s, tag, new)


@dataclass(slots=True)
class _Trial:
    """One day and one radio, with whoever listens."""

    day: Day
    away: Sequence[Outage]
    scores: dict[str, Score]


def judged(floor: Floor, radio: Radio, seed: int) -> Iterator[tuple[str, Score]]:
    """The core and every baseline on the same reports, with what goes before their figures."""
    yield from _trial(floor, radio, seed).scores.items()


def _trial(floor: Floor, radio: Radio, seed: int, away: Sequence[Outage] | None = None) -> _Trial:
    rng = Random(f"rfid {seed} {floor} {radio}")
    day = browse(floor, rng)
    away = outages(radio, floor.seconds, rng) if away is None else away
    return _Trial(day, away, _play(day, Antennas(day, radio, rng), floor.seconds, away))


def _play(day: Day, antennas: Antennas, seconds: float, away: Sequence[Outage]) -> dict[str, Score]:
    core = Core()
    listeners: dict[str, _Listener] = {
        "smurf0.05.": Smurf(0.05), "smurf0.001.": Smurf(0.001),
        "fixed5.": Timeout(5), "fixed30.": Timeout(30), "fixed600.": Timeout(600),
    }  # fmt: skip
    glued = frozenset(antennas.references)
    scores = {who: Score(PRACTICE_S, glued) for who in ("", *listeners)}

    def told(who: str, changes: Iterator[Change]) -> None:
        for at_s, tag, zone in changes:
            scores[who].present(at_s, tag, zone)
            scores[who].held(at_s, tag, zone)

    def until(at_s: float) -> None:
        core.until(at_s, scores[""])
        for who, listener in listeners.items():
            told(who, listener.until(at_s))

    laid = iter([*day.laid, Laid(inf, day.laid[0].piece, None)])
    coming = next(laid)
    for event in antennas.reports(seconds, away):
        if event.at_s >= seconds:
            break
        while coming.at_s <= event.at_s:
            until(coming.at_s)
            for score in scores.values():
                for tag in coming.piece.tags:
                    score.truth(coming.at_s, tag, coming.zone)
            coming = next(laid)
        until(event.at_s)
        if isinstance(event, Lost):
            core.lost()
            continue
        core.heard(event)
        for who, listener in listeners.items():
            told(who, listener.heard(event))
    until(seconds)
    for score in scores.values():
        score.end(seconds)
    return scores


# --- cells --------------------------------------------------------------------------------------


def _wrong(counts: Counts, row: str, score: Score) -> None:
    counts[f"{row}.wrong_tag_s"] = score.wrong_s
    counts[f"{row}.present_tag_s"] = score.present_s


def _false(counts: Counts, row: str, score: Score, false: int) -> None:
    counts[f"{row}.false"] = false
    counts[f"{row}.tag_hours"] = score.present_s / 3600


def _presence(counts: Counts, floor: Floor, radio: Radio, seed: int) -> dict[str, float]:
    trial = _trial(floor, radio, seed)
    swept = {tag for _, tags in trial.day.sweeps for tag in tags}
    times = {}
    for who, score in trial.scores.items():
        _wrong(counts, f"{who}R1", score)
        _false(counts, f"{who}R2", score, len(score.exits))
        _false(counts, f"{who}R3", score, len(score.departures))
        taken = [left for left in score.noticed if left.tag not in swept]
        up = [left for left in taken if not _overlap(left, trial.away)]
        for row, some in ((f"{who}R4", taken), (f"{who}R4/up", up)):
            counts[f"{row}.left"] = len(some)
            counts[f"{row}.over12"] = sum(left.delay_s > 12 for left in some)
            counts[f"{row}.over45"] = sum(left.delay_s > 45 for left in some)
            delays = sorted(left.delay_s for left in some)
            if delays:
                times[f"{row}.p50_s"] = _at(delays, 0.50)
                times[f"{row}.p99_s"] = _at(delays, 0.99)
        sweeps = [
            Noticed(at_s, "", _swept_s(score, at_s, tags, floor))
            for at_s, tags in trial.day.sweeps
            if PRACTICE_S < at_s < floor.seconds - _SWEPT_S
        ]
        up = [sweep for sweep in sweeps if not _overlap(sweep, trial.away)]
        for row, some in ((f"{who}R4/sweep", sweeps), (f"{who}R4/sweep/up", up)):
            counts[f"{row}.sweeps"] = len(some)
            counts[f"{row}.over60"] = sum(sweep.delay_s > 60 for sweep in some)
            if some:
                times[f"{row}.max_s"] = max(sweep.delay_s for sweep in some)
    return times


def _at(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _overlap(left: Noticed, away: Sequence[Outage]) -> bool:
    end_s = left.left_s + left.delay_s
    return any(outage.start_s < end_s and left.left_s < outage.end_s for outage in away)


def _zone_swept(row: str, crowd: Crowd, radio: Radio, seed: int) -> dict[str, float]:
    rng = Random(f"rfid zone {seed} {crowd} {radio}")
    at_s = 2 * PRACTICE_S
    floor = Floor(at_s + _SWEPT_S, crowd, facing=4, takes=0, sweeps_per_h=0, moves_per_h=0)
    day = browse(floor, rng)
    pieces = [laid.piece for laid in day.laid if laid.zone == 0]
    day.laid += [Laid(at_s, piece, None) for piece in pieces]
    scores = _play(day, Antennas(day, replace(radio, outage_gap_s=0), rng), floor.seconds, ())
    tags = tuple(tag for piece in pieces for tag in piece.tags)
    return {
        f"{who}{row}.max_s": _swept_s(score, at_s, tags, floor) for who, score in scores.items()
    }


def _swept_s(score: Score, at_s: float, tags: tuple[str, ...], floor: Floor) -> float:
    """At most what is left of the day."""
    return min(score.swept_s(at_s, tags), floor.seconds - at_s)


def _outages(counts: Counts, crowd: Crowd, radio: Radio, seed: int) -> None:
    starts_s = [PRACTICE_S + 60 + 150 * nth for nth in range(len(_OUTAGES))]
    away = [Outage(at_s, at_s + _OUTAGE_S, kind)
            for at_s, kind in zip(starts_s, _OUTAGES, strict=True)]  # fmt: skip
    floor = Floor(starts_s[-1] + 300, crowd, facing=5, takes=0, sweeps_per_h=0, moves_per_h=0)
    for who, score in _trial(floor, replace(radio, residual=1.0), seed, away).scores.items():
        caused = len(score.departures) if not who else 0
        for outage in away:
            caused += sum(
                outage.start_s <= at_s < outage.end_s + _AFTER_S for at_s, _ in score.exits
            )
        counts[f"{who}R5.caused"] = caused
        counts[f"{who}R5.outages"] = len(away)
