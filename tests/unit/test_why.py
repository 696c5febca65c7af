"""`stockd why`: the chain of an event in words, its kin, and the plate's weight around it."""

from __future__ import annotations

import io
import json
from itertools import pairwise
from pathlib import Path

import pytest
from journalled import journalled

from gateway.cli import main
from gateway.core.around import BEFORE_NS, Around
from gateway.domain.observation import (
    BECAUSE,
    TRACE_MAX,
    BayStep,
    WeightStep,
    bare,
    observation_bytes,
    read_observation,
)
from gateway.picture import chinese_font
from gateway.plot import Curve, curves, text
from gateway.why_words import INSTEAD
from gateway.words import BECAUSE as SAID

SECOND = 1_000_000_000
DAY = """
0    count a1 Jar 10
0    count a2 Tin 10
0    count a2 Box 10
1    device scale-a1 up
1    device scale-a2 up
12   take scale-a1 500 over=0.6
60   scan till-1 {Jar}
80   take scale-a1 500
90   put scale-a1 500
100  take scale-a1 500
110  take scale-a2 303
3800 end
3810 scan till-1 {Jar}
3820 void 4
3900 end
"""
PICK, SALE, PUTBACK, TIN, LOSS, FOUND = 4, 5, 7, 9, 10, 12


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return journalled(tmp_path_factory.mktemp("why"), DAY)


def asked(shop: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["--config", str(shop), "why", *arguments]) == 0
    return capsys.readouterr().out


def told(shop: Path, capsys: pytest.CaptureFixture[str], seq: int) -> dict[str, object]:
    answer: dict[str, object] = json.loads(asked(shop, capsys, str(seq), "--json"))
    return answer


def test_a_pick_is_told_from_the_scale_to_the_book(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = asked(shop, capsys, str(PICK))
    for part in (
        "picked from the shelf: 1 × Jar: a1 → a shopper's basket",
        "scale scale-a1: 20000 g → 19500 g (-500 g)",
        "1 × Jar: 99.",
        "a1: -1 Jar, then 9",
        "it would have waited: for a scan, a sale, or 10 minutes.",
        f"stockd command void event={PICK} takes it back",
        f"#{SALE}",
        "▲ settled 1.7 s later",
    ):
        assert part in out, part
    zh = asked(shop, capsys, str(PICK), "--lang", "zh-CN")
    assert "顾客手中: +1 Jar, 之后为 1" in zh
    assert "1.7 秒后稳定" in zh


def test_kin_lead_from_event_to_event(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kinds = {n: str(told(shop, capsys, n)["kind"]) for n in range(1, 15)}
    assert [kinds[n] for n in (PICK, SALE, PUTBACK, TIN, LOSS, FOUND)] == [
        "pick", "sale", "putback", "pick", "loss", "found",
    ], kinds  # fmt: skip
    assert told(shop, capsys, SALE)["rests_on"] == [PICK]
    assert told(shop, capsys, PUTBACK)["rests_on"] == [PUTBACK - 1]
    found = told(shop, capsys, FOUND)
    loss = told(shop, capsys, LOSS)
    assert loss["seq"] in found["rests_on"]  # type: ignore[operator]
    assert FOUND in loss["led_to"]  # type: ignore[operator]
    sold = told(shop, capsys, FOUND + 1)
    assert (sold["kind"], sold["beside"]) == ("sale", [FOUND])
    assert found["rests_on"] == sold["rests_on"]
    void = told(shop, capsys, FOUND + 2)
    assert (void["kind"], void["rests_on"]) == ("void", [PICK])
    assert FOUND + 2 in told(shop, capsys, PICK)["led_to"]  # type: ignore[operator]


def test_what_it_might_have_been(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = asked(shop, capsys, str(TIN))
    assert "picked from the shelf: 1 × Box (" in out
    assert "none of them: the weight noted, nothing booked" in out
    assert "within 24 h" in asked(shop, capsys, str(LOSS))


def test_a_sale_shows_the_plate_of_its_pick(
    shop: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    drawn = told(shop, capsys, SALE)["plot"]
    assert isinstance(drawn, dict)
    (curve,) = drawn["curves"]
    assert (drawn["seq"], curve["device"]) == (PICK, "scale-a1")
    levels = [mass for _, mass in curve["points"]]
    assert abs(levels[0] - 20_000_000) < 2000
    assert abs(levels[-1] - 19_500_000) < 2000
    assert -4000 <= curve["points"][0][0] < -3000
    assert curve["points"][-1][0] == curve["settled_ms"]
    nothing = ["--config", str(shop), "why", "1", "--plot", str(tmp_path / "none.png")]
    assert main(nothing) == 1
    assert "no scale had a part in event 1" in capsys.readouterr().err
    assert not (tmp_path / "none.png").exists()


@pytest.mark.parametrize("lang", ["en", "zh-CN"])
def test_a_picture_is_a_png(
    shop: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, lang: str
) -> None:
    from PIL import Image

    file = tmp_path / "pick.png"
    asked(shop, capsys, str(PICK), "--plot", str(file), "--lang", lang)
    with Image.open(file) as image:
        image.load()
        assert (image.format, image.size) == ("PNG", (960, 416))
        rgb = image.convert("RGB")

    def line_at(x: int) -> int:
        """The row where the curve, the only blue thing, crosses a column."""
        column = [rgb.getpixel((x, y)) for y in range(416)]
        blue = [y for y, (r, _, b) in enumerate(column) if b > r + 60]  # type: ignore[misc]
        return sum(blue) // len(blue)

    assert line_at(150) < 150
    assert line_at(880) > 250
    assert main(["--config", str(shop), "why", "4", "--plot", "/dev/null/x.png"]) == 2
    assert "cannot write" in capsys.readouterr().err
    assert chinese_font() is None or chinese_font().is_file()  # type: ignore[union-attr]


def test_a_plain_terminal_gets_plain_characters(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = io.TextIOWrapper(io.BytesIO(), "ascii", errors="backslashreplace")
    monkeypatch.setattr("sys.stdout", plain)
    monkeypatch.setenv("COLUMNS", "50")
    assert main(["--config", str(shop), "why", str(PICK), "--lang", "en"]) == 0
    lines = plain.buffer.getvalue().decode("ascii").splitlines()  # type: ignore[attr-defined]
    dots = [line for line in lines if "|" in line]
    assert len(dots) == 8
    assert max(map(len, dots)) <= 50
    assert sum(line.count("*") for line in dots) > 30


def test_a_silent_scale_leaves_a_gap() -> None:
    points = ((-4000, 900), (-3900, 900), (0, 900), (100, 900))
    top = text(Curve("s", "a1", points, 100, 0, 0), 100, ascii_only=True)[0]
    assert len(top.partition("|")[2].split()) == 2
    points = tuple((ms, 900) for ms in range(-4000, 200, 900))
    top = text(Curve("s", "a1", points, 100, 0, 0), 100, ascii_only=True)[0]
    assert len(top.partition("|")[2].split()) == 1
    falling = text(Curve("s", "a1", ((0, 0), (900, 9000)), 900, 0, 9000), 40, ascii_only=True)
    columns = {line.rindex("*") for line in falling[:8] if "*" in line}
    assert len(columns) >= 7


def fed(rate_hz: int, seconds: int, gap_ns: int = 0) -> tuple[Around, list[int], int, int]:
    """A ring fed with the number of each sample, once a silence of `gap_ns` in the middle."""
    ring_size = 10
    around, ring = Around(rate_hz, ring_size), [0] * ring_size
    slot, at_ns = 0, 0
    for n in range(rate_hz * seconds):
        at_ns += SECOND // rate_hz + (gap_ns if n == rate_hz * seconds // 2 else 0)
        ring[slot] = n
        slot = (slot + 1) % ring_size
        if slot == 0:
            around.window(at_ns, ring)
    return around, ring, slot, at_ns


@pytest.mark.parametrize("rate_hz", [1, 7, 10, 20, 33, 60, 100])
def test_points_are_the_samples_at_their_times(rate_hz: int) -> None:
    around, ring, slot, at_ns = fed(rate_hz, 40)
    points = around.points(at_ns - 2 * SECOND, at_ns, ring, slot)
    assert 0 < len(points) <= TRACE_MAX
    times = [ms for ms, _ in points]
    assert times == sorted(set(times))
    assert times[-1] == 0
    assert times[0] >= -6000
    newest = rate_hz * 40 - 1
    for ms, sample in points:
        assert abs(ms + (newest - sample) * 1000 // rate_hz) <= 1
    assert times[0] <= -6000 + 2 * max(100, 1000 // rate_hz) + 1000 * 10 // rate_hz


def test_no_more_than_is_kept_and_nothing_before_a_reading() -> None:
    around, ring, slot, at_ns = fed(20, 60)
    whole = around.points(0, at_ns, ring, slot)
    assert len(whole) <= TRACE_MAX
    assert -13_000 < whole[0][0] < -10_000
    assert Around(20, 10).points(0, 0, [0] * 10, 0) == ()
    around, ring, slot, at_ns = fed(20, 8, gap_ns=30 * SECOND)
    times = [ms for ms, _ in around.points(at_ns - 60 * SECOND, at_ns, ring, slot)]
    assert max(b - a for a, b in pairwise(times)) > 28_000


def test_a_step_without_a_trace_reads_and_decides_as_before() -> None:
    plain = WeightStep(9, "s", "r", "a1", 1, 2, 3, 4, outage=False)
    traced = WeightStep(9, "s", "r", "a1", 1, 2, 3, 4, outage=False, trace=((-1, 2), (0, 5)))
    assert b"trace" not in observation_bytes(plain)
    assert read_observation(observation_bytes(traced)) == traced
    assert bare(traced) == plain == bare(plain)
    assert curves(BayStep(9, "A", (plain, traced))) == curves(traced)
    assert BEFORE_NS == 4 * SECOND


def test_every_reason_has_words() -> None:
    assert set(BECAUSE) <= SAID.keys()
    assert INSTEAD.keys() <= set(BECAUSE)
    for zh, en in (*SAID.values(), *INSTEAD.values()):
        assert any(ord(char) > 0x3000 for char in zh)
        assert en.isascii()
