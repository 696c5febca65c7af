"""The gate table of ALGORITHMS section 8, row by row: which figure must reach what.

Here: the rows, as data. Not here: how a figure is measured (each channel), how seeds become a
verdict (`verdicts`). Rows that another command proves say which.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

Sense = Literal[">=", "<=", "=="]


class Gate(NamedTuple):
    """One figure that must reach a limit."""

    row: str
    measure: str
    channel: str
    figure: str
    """Its name among the figures of the channel."""
    sense: Sense
    limit: float
    per_cent: bool = False
    """Shown times a hundred."""


class Mismatch(NamedTuple):
    """A figure of the model mismatch (7.6): no gate, but it must beat the best baseline."""

    row: str
    measure: str
    channel: str
    figure: str
    baselines: tuple[str, ...]
    more_is_better: bool = False
    per_cent: bool = False


class Elsewhere(NamedTuple):
    """A row that this bench does not judge, and where it is judged."""

    row: str
    measure: str
    where: str


def _share(row: str, measure: str, channel: str, figure: str, sense: Sense, limit: float) -> Gate:
    return Gate(row, measure, channel, figure, sense, limit, per_cent=True)


GATES: Final = (
    _share("S1", "echoes suppressed at 0-350 ms", "fusion", "S1.share", ">=", 0.999),
    Gate("S2", "deliberate repeats lost", "fusion", "S2.lost", "==", 0),
    _share("W1", "step precision, 53 g, 20 Hz", "weight", "W1.precision", ">=", 0.99),
    _share("W1", "step recall, 53 g, 20 Hz", "weight", "W1.recall", ">=", 0.97),
    _share("W1", "step precision, 53 g, 60 Hz", "weight", "W1/60.precision", ">=", 0.99),
    _share("W1", "step recall, 53 g, 60 Hz", "weight", "W1/60.recall", ">=", 0.97),
    _share("W2", "step precision, >= 200 g", "weight", "W2.precision", ">=", 0.995),
    _share("W2", "step recall, >= 200 g", "weight", "W2.recall", ">=", 0.995),
    Gate("W3", "latency after release, p50, s", "weight", "W3.p50_s", "<=", 1.1),
    Gate("W3", "latency, >= 200 g, p50, s", "weight", "W3/heavy.p50_s", "<=", 1.25),
    Gate("W3", "latency, p99, s", "weight", "W3.p99_s", "<=", 1.6),
    Gate("W4", "false steps per idle plate-week", "weight", "W4.per_plate_week", "<=", 1),
    _share("W5", "product + quantity, sigma 0.5 g", "weight", "W5/0.5.top1", ">=", 0.95),
    _share("W5", "product + quantity, sigma 1 g", "weight", "W5/1.top1", ">=", 0.95),
    _share("W5", "product + quantity, sigma 5 g", "weight", "W5/5.top1", ">=", 0.87),
    _share("W6", "posted at once, right", "weight", "W6.precision", ">=", 0.995),
    _share("W6", "posted at once, of all events", "weight", "W6.coverage", ">=", 0.80),
    _share("W6", "the same at sigma 5 g, right", "weight", "W6/s5.precision", ">=", 0.995),
    _share("W6", "the same at sigma 5 g, of all", "weight", "W6/s5.coverage", ">=", 0.60),
    _share("W7", "step precision, 53 g, sigma 5 g", "weight", "W7.precision", ">=", 0.98),
    _share("W7", "step recall, 53 g, sigma 5 g", "weight", "W7.recall", ">=", 0.91),
    Gate("W8", "calibration error", "weight", "W8.ece", "<=", 0.02),
    _share("R1", "time in the wrong state", "rfid", "R1.wrong", "<=", 0.01),
    Gate("R2", "false EXITING per tag-hour", "rfid", "R2.per_tag_hour", "<=", 0.5),
    Gate("R3", "false DEPARTED per tag-hour", "rfid", "R3.per_tag_hour", "<=", 0.02),
    Gate("R4", "departure seen, p50, s", "rfid", "R4.p50_s", "<=", 12),
    Gate("R4", "departure seen, p99, s", "rfid", "R4.p99_s", "<=", 45),
    Gate("R4", "whole group swept, worst, s", "rfid", "R4/sweep.max_s", "<=", 60),
    Gate("R5", "departures by a 30 s outage", "rfid", "R5.caused", "==", 0),
    _share("R6", "p 0.40: time in the wrong state", "rfid", "R6.wrong", "<=", 0.022),
    Gate("R6", "p 0.40: false EXITING per tag-hour", "rfid", "R6.per_tag_hour", "<=", 0.1),
    _share("R7", "time in the right zone", "rfid", "R7.right", ">=", 0.97),
    Gate("F1", "store error per 1,000 sold, day 30", "fusion", "F1.per_1000_sold", "<=", 2),
    Gate("F1", "store error, mean units", "fusion", "F1.mae_units", "<=", 0.8),
    Gate("F2", "shelf error with levels, units", "fusion", "F2.shelf_mae_units", "<=", 0.05),
    Gate("F2", "shelf error, flows only, units", "fusion", "flows.F2.shelf_mae_units", "<=", 2.3),
    _share("F3", "record exact, share of time", "fusion", "F3.exact", ">=", 0.55),
    _share("F4", "record exact, slow movers", "fusion", "slow.F3.exact", ">=", 0.95),
    Gate("F5", "corrections per SKU-day", "fusion", "F5.per_sku_day", "<=", 4),
    _share("F5", "corrections later reversed", "fusion", "F5.reversed", "<=", 0.02),
    _share("F6", "oversell time", "fusion", "F6.oversell", "<=", 0.005),
    _share("F7", "losses told, right", "fusion", "F7.precision", ">=", 0.80),
    _share("F8", "hard cases, item F1", "fusion", "F8.f1", ">=", 0.95),
    _share("F9", "90 % intervals that hold, smoothed", "fusion", "F9.coverage", ">=", 0.88),
    _share("F9", "the same, at most", "fusion", "F9.coverage", "<=", 0.92),
    Gate("E3", "final states that differ: duplicates", "fusion", "E3/duplicates.differ", "==", 0),
    Gate("E3", "final states that differ: samples", "fusion", "E3/samples.differ", "==", 0),
    Gate("E3", "final states that differ: shuffled", "fusion", "E3/shuffled.differ", "==", 0),
    Gate("E3", "final states that differ: crash", "fusion", "E3/crash.differ", "==", 0),
    Gate("E4", "20k product-locations, 50k tags: MiB", "memory", "E4.mb", "<=", 100),
    Gate("E4", "fused decision per weight sample, us", "memory", "E4.weight_us", "<=", 15),
    Gate("E4", "fused decision per tag read, us", "memory", "E4.tag_us", "<=", 20),
    Gate("E5", "replays that differ: wake-ups", "fusion", "E5/wake_ups.differ", "==", 0),
    Gate("E5", "replays that differ: batches", "fusion", "E5/batches.differ", "==", 0),
    Gate("E5", "replays that differ: restarts", "fusion", "E5/restarts.differ", "==", 0),
)

_BOOKS: Final = ("till", "naive", "window10", "window30", "window60", "window120")
_TAGS: Final = ("smurf0.05", "smurf0.001", "fixed5", "fixed30", "fixed600")

MISMATCH: Final = (
    Mismatch("W1", "step F1, 53 g, 60 Hz", "weight", "W1/60/mismatch.f1",
             ("aim3s.W1/60/mismatch.f1",), more_is_better=True, per_cent=True),
    Mismatch("W5", "product + quantity, sigma 1 g", "weight", "W5/1/mismatch.top1",
             ("nearest.W5/1/mismatch.top1",), more_is_better=True, per_cent=True),
    Mismatch("R1", "time in the wrong state", "rfid", "R1/mismatch.wrong",
             tuple(f"{who}.R1/mismatch.wrong" for who in _TAGS), per_cent=True),
    Mismatch("F1", "store error per 1,000 sold, day 30", "fusion", "mismatch.F1.per_1000_sold",
             tuple(f"{who}.mismatch.F1.per_1000_sold" for who in _BOOKS)),
    Mismatch("F1", "store error, mean units", "fusion", "mismatch.F1.mae_units",
             tuple(f"{who}.mismatch.F1.mae_units" for who in _BOOKS)),
    Mismatch("F3", "record exact, share of time", "fusion", "mismatch.F3.exact",
             tuple(f"{who}.mismatch.F3.exact" for who in _BOOKS),
             more_is_better=True, per_cent=True),
)  # fmt: skip
"""Heavy tails, masses off by 3 %, doubled blocking, quantities 0.5/0.3/0.2, half the timeouts."""

ELSEWHERE: Final = (
    Elsewhere("S3", "parse conformity", "tests/unit/test_gs1_vectors.py"),
    Elsewhere("S4, E1", "scan to journal and to MQTT", "stockd bench latency"),
    Elsewhere("C1-C7", "cameras", "not in this version"),
    Elsewhere("E2", "pick to published", "W3 and stockd bench latency"),
)
