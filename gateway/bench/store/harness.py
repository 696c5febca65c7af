"""`stockd bench store`: every channel over many seeds, judged by the gates of ALGORITHMS 8.

Here: seeds on all cores, progress, the table for people and the report. Not here: what a channel
measures (`weight`, `rfid`, `fusion`), how seeds become a verdict (`verdicts`).
"""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from gateway import core
from gateway.bench.machine import Machine, machine
from gateway.bench.store import fusion, memory, rfid, weight
from gateway.bench.store.gates import ELSEWHERE, GATES, MISMATCH, Gate, Mismatch
from gateway.bench.store.plots import svg
from gateway.bench.store.verdicts import Comparison, Figures, Verdict, compare, judge

CHANNELS: Final = {"weight": weight, "rfid": rfid, "fusion": fusion, "memory": memory}
ONCE: Final = ("memory",)
"""Channels in which a seed changes next to nothing: only the first is measured."""
LEVELS: Final = ("L1", "L2", "L3")
BASELINES: Final = (
    "till.F1.per_1000_sold", "naive.F1.per_1000_sold", "window10.F1.per_1000_sold",
    "window30.F1.per_1000_sold", "window60.F1.per_1000_sold", "window120.F1.per_1000_sold",
    "aim3s.W1/60.precision", "aim3s.W1/60.recall", "smurf0.05.R1.wrong", "smurf0.001.R1.wrong",
    "fixed5.R1.wrong", "fixed30.R1.wrong", "fixed600.R1.wrong", "R4/up.p50_s", "R4/up.p99_s",
    "R4/sweep/up.max_s", "oracle.F3.exact", "oracle.slow.F3.exact", "F9.coverage50",
    "F9.coverage80", "F9.coverage95", "F9.raw_coverage", "F5.wrong_units", "F5.corrected_units",
)  # fmt: skip
"""Baselines, ceilings and what explains a figure, beside the gates; the JSON has every figure."""


class StoreBench(NamedTuple):
    """The result: verdicts, baselines, and the figures of each channel and seed."""

    machine: Machine
    core_sha256: str
    """Of the sources of the core: its parameters are frozen in them (7.6)."""
    level: str
    seeds: tuple[int, ...]
    verdicts: tuple[Verdict, ...]
    comparisons: tuple[Comparison, ...]
    baselines: Mapping[str, float]
    figures: Mapping[str, Mapping[int, Figures]]

    @property
    def missed(self) -> list[Gate]:
        """Gates that this run does not reach."""
        return [v.gate for v in self.verdicts if v.words in ("missed", "absent")]


def run(
    seeds: Sequence[int], level: str, channels: Sequence[str], say: Callable[[str], None]
) -> StoreBench:
    """Measures and judges. Deterministic: the same seeds give the same digits."""
    found: dict[str, dict[int, Figures]] = defaultdict(dict)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        jobs = {
            pool.submit(CHANNELS[name].measure, seed, level): (name, seed)
            for seed in seeds
            for name in channels
            if name not in ONCE or seed == seeds[0]
        }
        for done, job in enumerate(as_completed(jobs), 1):
            name, seed = jobs[job]
            found[name][seed] = job.result()
            say(f"{done} of {len(jobs)}: {name}, seed {seed}")
    verdicts: list[Verdict] = []
    comparisons: list[Comparison] = []
    shown: dict[str, float] = {}
    for name in channels:
        rows = [found[name][seed] for seed in seeds if seed in found[name]]
        gates = [gate for gate in GATES if gate.channel == name]
        verdicts += judge(gates, rows, CHANNELS[name].pooled)
        whole = CHANNELS[name].pooled(rows)
        comparisons += compare([row for row in MISMATCH if row.channel == name], whole)
        shown |= {figure: whole[figure] for figure in BASELINES if figure in whole}
    return StoreBench(
        machine(), core_sha256(), level, tuple(seeds), tuple(verdicts), tuple(comparisons), shown,
        found,
    )  # fmt: skip


def core_sha256() -> str:
    """One hash over the sources of the core, in order of their names."""
    whole = hashlib.sha256()
    for path in sorted(Path(core.__file__).parent.glob("*.py")):
        whole.update(path.name.encode() + b"\0" + path.read_bytes())
    return whole.hexdigest()


def report(result: StoreBench, folder: Path) -> None:
    """Writes report.md, report.json and gates.svg. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = list(table(result))
    (folder / "report.md").write_text("\n".join(lines) + "\n", "utf-8")
    (folder / "report.json").write_bytes(msgspec.json.encode(result._asdict()) + b"\n")
    (folder / "gates.svg").write_text(svg(result.verdicts, lines[0]), "utf-8")


def table(result: StoreBench) -> Iterator[str]:
    """Lines of Markdown, for a terminal or a file."""
    m = result.machine
    yield f"{m.cpu}, {m.cores} cores, Python {m.python}; level {result.level}, seeds " + (
        f"{result.seeds[0]} to {result.seeds[-1]} ({len(result.seeds)}), "
        f"core {result.core_sha256[:12]}"
    )
    yield ""
    yield "| Row | Measure | Figure | 95 % interval | Gate | Verdict |"
    yield "|---|---|---|---|---|---|"
    for v in result.verdicts:
        gate, value = v.gate, "-" if v.value is None else _shown(v.gate, v.value)
        span = "" if v.value is None else f"{_shown(gate, v.low)} to {_shown(gate, v.high)}"
        limit = f"{gate.sense} {_shown(gate, gate.limit)}"
        yield f"| {gate.row} | {gate.measure} | {value} | {span} | {limit} | {v.words} |"
    for row, measure, where in ELSEWHERE:
        yield f"| {row} | {measure} | | | | {where} |"
    yield ""
    if result.comparisons:
        yield "Model mismatch (7.6: no gate, but it must beat the best baseline):"
        yield ""
        yield "| Row | Measure | Figure | Best baseline | Verdict |"
        yield "|---|---|---|---|---|"
    for c in result.comparisons:
        best = f"{_shown(c.row, c.best_value)} ({c.best.partition('.' + c.row.figure)[0]})"
        yield f"| {c.row.row} | {c.row.measure} | {_shown(c.row, c.value)} | {best} | {c.words} |"
    yield ""
    yield "Beside the gates, on the same seeds: " + ", ".join(
        f"{name} {value:.4g}" for name, value in result.baselines.items()
    )


def _shown(gate: Gate | Mismatch, value: float) -> str:
    return f"{100 * value:.2f} %" if gate.per_cent else f"{value:.4g}"
