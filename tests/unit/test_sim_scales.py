"""The simulated scale says what the manual says, and is as noisy as ALGORITHMS table 7.2."""

from __future__ import annotations

import os
import re
import select
import time
from dataclasses import replace
from pathlib import Path
from random import Random
from statistics import mean, stdev

import pytest

from drivers.sim.levels import LEVELS, Level
from drivers.sim.plate import Plate
from drivers.sim.ports import PtyPort
from drivers.sim.scales import SicsScale, range_kg

HZ = 20


def _scale(load_g: float, max_kg: int = 15, level: str = "quiet") -> tuple[SicsScale, Plate]:
    plate = Plate(LEVELS[level], load_g, Random(7))
    return SicsScale(plate, max_kg, HZ, LEVELS[level].white_g, "SIM-1"), plate


def _run(scale: SicsScale, from_s: float, seconds: float, heard: bytes = b"") -> list[str]:
    said = b""
    for tick in range(round(seconds * HZ)):
        said += scale.tick(from_s + tick / HZ, heard if tick == 0 else b"")
    return said.decode("ascii").split("\r\n")[:-1]


def test_a_weight_is_ten_characters_right_aligned_between_status_and_unit() -> None:
    scale, _ = _scale(1243.0)
    (line,) = _run(scale, 0.0, 2.0, b"S\r\n")
    assert re.fullmatch(r"S S      1\.24[1-5] kg", line)
    fine, _ = _scale(100.0, max_kg=3)
    (line,) = _run(fine, 0.0, 2.0, b"S\r\n")
    assert re.fullmatch(r"S S {6}10[01]\.\d g|S S {7}99\.\d g", line)
    assert len(line) == len("S S     100.00 g")


def test_a_stream_repeats_at_the_rate_until_another_weight_is_asked_for() -> None:
    scale, _ = _scale(1243.0)
    lines = _run(scale, 0.0, 2.0, b"SIR\r\n")
    assert len(lines) == 2 * HZ
    assert all(re.fullmatch(r"S [SD]      1\.2\d\d kg", line) for line in lines)
    assert len(_run(scale, 2.0, 1.0, b"SI\r\n")) == 1
    assert len(_run(scale, 3.0, 1.0, b"SIR\r\n")) == HZ
    assert _run(scale, 4.0, 1.0, b"@\r\n") == ['I4 A "SIM-1"']


def test_a_command_may_come_in_any_pieces() -> None:
    scale, _ = _scale(10.0)
    assert scale.tick(0.0, b"I") == b""
    assert scale.tick(0.1, b"4\r") == b""
    assert scale.tick(0.2, b"\nI4\r\n") == b'I4 A "SIM-1"\r\n' * 2


def test_identity_and_nonsense() -> None:
    scale, _ = _scale(10.0)
    commands = _run(scale, 0.0, 0.05, b"I0\r\n")
    assert all(re.fullmatch(r'I0 [BA] [012] "[A-Z@][A-Z0-4]*"', line) for line in commands)
    assert [line[3] for line in commands] == ["B"] * (len(commands) - 1) + ["A"]
    said = _run(scale, 0.1, 0.05, b"I1\r\nI2\r\nI3\r\nXYZ\r\nsi\r\n\xff\r\n")
    assert said[0].startswith('I1 A "012"')
    assert said[1] == 'I2 A "SIM-15 15.000 kg"'
    assert said[2].startswith('I3 A "')
    assert said[3:] == ["ES", "ES", "ES"]
    assert _run(scale, 0.2, 0.05, b"Q" * 200) == ["ET"]


def test_every_command_of_the_list_is_answered() -> None:
    scale, _ = _scale(10.0)
    _run(scale, 0.0, 2.0)
    names = [line.split('"')[1] for line in _run(scale, 2.0, 0.05, b"I0\r\n")]
    for place, name in enumerate(names):
        said = _run(scale, 3.0 + place, 0.5, name.encode() + b"\r\n")
        assert said, name
        assert "ES" not in said


def test_tare_and_zero_change_what_is_shown() -> None:
    scale, plate = _scale(100.0)
    _run(scale, 0.0, 2.0)
    (tared,) = _run(scale, 2.0, 0.05, b"T\r\n")
    assert re.fullmatch(r"T S      0\.(099|100|101|102) kg", tared)
    (net,) = _run(scale, 3.0, 0.05, b"SI\r\n")
    assert re.fullmatch(r"S S     [ -]0\.00\d kg", net)
    assert _run(scale, 3.5, 0.05, b"TAC\r\n") == ["TAC A"]
    assert _run(scale, 4.0, 0.5, b"Z\r\n") == ["Z A"]
    plate.handle(5.0, 0.5, 0.0, 1000.0, 0.1, 0.2)
    _run(scale, 5.0, 4.0)
    (shown,) = _run(scale, 9.0, 0.05, b"SI\r\n")
    assert re.fullmatch(r"S S {6}(0\.99[6-9]|1\.00[0-4]) kg", shown)
    assert _run(scale, 9.5, 0.05, b"ZI\r\n") == ["ZI +"]


def test_a_tare_may_be_told() -> None:
    scale, _ = _scale(1000.0, max_kg=3)
    _run(scale, 0.0, 2.0)
    assert _run(scale, 2.0, 0.05, b"TA 0.25 kg\r\nTA 5 lb\r\n") == ["TA A      250.0 g", "TA L"]
    (net,) = _run(scale, 3.0, 0.05, b"SI\r\n")
    assert re.fullmatch(r"S S {6}7(49|50)\.\d g", net)


@pytest.mark.parametrize("command", [b"SR\r\n", b"SNR\r\n"])
def test_a_stream_of_changes_tells_stable_weights_once(command: bytes) -> None:
    scale, plate = _scale(1000.0)
    (first,) = _run(scale, 0.0, 5.0, command)
    assert re.fullmatch(r"S S {6}(0\.99\d|1\.00\d) kg", first)
    plate.handle(5.0, 0.5, 0.0, 10.0, 0.1, 0.2)
    assert _run(scale, 5.0, 5.0) == []
    plate.handle(10.0, 0.5, 0.0, 500.0, 0.1, 0.2)
    (second,) = _run(scale, 10.0, 5.0)
    assert re.fullmatch(r"S S {6}1\.5[01]\d kg", second)


def test_outside_of_the_range_there_is_no_number() -> None:
    over, _ = _scale(15_100.0)
    assert _run(over, 0.0, 0.05, b"SI\r\n") == ["S +"]
    assert _run(over, 1.0, 0.05, b"Z\r\n") == ["Z +"]
    under, plate = _scale(100.0)
    plate.handle(0.0, 0.1, 0.0, -500.0, 0.0, 0.05)
    _run(under, 0.0, 2.0)
    assert _run(under, 2.0, 0.05, b"SI\r\n") == ["S -"]


def test_a_moving_plate_is_dynamic_and_a_stable_weight_is_waited_for() -> None:
    scale, plate = _scale(2000.0)
    _run(scale, 0.0, 2.0)
    plate.handle(2.0, 1.0, 80.0, -500.0, 0.4, 0.3)
    lines = _run(scale, 2.0, 6.0, b"SIR\r\n")
    moving = [place for place, line in enumerate(lines) if line.startswith("S D")]
    assert set(range(10, HZ)) <= set(moving)
    assert re.fullmatch(r"S S {6}(1\.49[5-9]|1\.50[0-5]) kg", lines[-1])
    plate.handle(8.0, 1.0, 80.0, 500.0, 0.4, 0.3)
    _run(scale, 8.0, 0.5, b"@\r\n")
    (waited,) = _run(scale, 8.5, 3.5, b"S\r\n")
    assert re.fullmatch(r"S S {6}(1\.99[5-9]|2\.00[0-5]) kg", waited)


def test_a_plate_that_never_rests_times_out() -> None:
    scale, plate = _scale(2000.0)
    for second in range(10):
        plate.handle(float(second), 1.0, 90.0, 0.0, 0.4, 0.3)
    assert _run(scale, 0.0, 6.0, b"S\r\n") == ["S I"]
    assert _run(scale, 6.0, 3.9, b"T\r\n") == ["T I"]


@pytest.mark.parametrize("full_g", [100.0, 1999.0, 5000.0, 40_000.0, 10**6])
def test_the_range_holds_a_full_plate_with_room(full_g: float) -> None:
    assert range_kg(full_g) * 1000 >= min(1.5 * full_g, 150_000)


def test_it_answers_on_a_real_port(tmp_path: Path) -> None:
    port = PtyPort(tmp_path / "scale")
    port.plug()
    scale, _ = _scale(1243.0)
    slave = os.open(port.path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    os.write(slave, b"@\r\nSIR\r\n")
    heard, tick, deadline_s = b"", 0, time.monotonic() + 5.0
    while heard.count(b"\n") < 40 and time.monotonic() < deadline_s:
        port.write(scale.tick(tick / HZ, port.read()))
        tick += 1
        if select.select([slave], [], [], 0.01)[0]:
            heard += os.read(slave, 4096)
    first, *lines = heard.decode().split("\r\n")
    assert first == 'I4 A "SIM-1"'
    assert len(lines) >= 40
    assert all(re.fullmatch(r"S [SD]      1\.2[34]\d kg", line) for line in lines[:38])
    os.close(slave)
    port.unplug()


# --- physics ------------------------------------------------------------------------------------


def _samples(level: Level, seconds: float, hz: int = HZ, load_g: float = 0.0) -> list[float]:
    plate = Plate(level, load_g, Random(11))
    return [plate.sample_g(tick / hz) for tick in range(round(seconds * hz))]


@pytest.mark.parametrize("name", LEVELS)
def test_white_noise_has_the_sigma_of_the_table(name: str) -> None:
    level = LEVELS[name]
    samples = _samples(level, 300.0)
    # second differences of neighbours are blind to drift; six white variances each
    seconds = [a - 2 * b + c for a, b, c in zip(samples, samples[1:], samples[2:], strict=False)]
    seconds.sort()
    middle = seconds[len(seconds) // 4 : -len(seconds) // 4]
    # the quartile of a normal lies at 0.6745 sigma; bursts of vibration reach a few percent of it
    sigma_g = (middle[-1] - middle[0]) / 2 / 0.6745 / 6**0.5
    assert sigma_g == pytest.approx(level.white_g, rel=0.12)


def test_vibration_comes_in_bursts_of_two_and_a_half_sigma() -> None:
    level = replace(LEVELS["L2"], spikes=0.0)
    samples = _samples(level, 600.0)
    windows = [stdev(samples[k : k + HZ]) for k in range(0, len(samples), HZ)]
    shaken = [w for w in windows if w > 1.45 * level.white_g]
    assert 15 <= len(shaken) <= 70
    assert max(windows) < 2.5 * level.white_g * 1.5


def test_spikes_are_single_samples_as_rare_as_the_table_says() -> None:
    level = replace(LEVELS["L3"], spikes=0.002)
    samples = _samples(level, 1000.0)
    spikes = [k for k, value in enumerate(samples) if abs(value) > 40.0]
    assert 20 <= len(spikes) <= 65
    assert all(abs(samples[k]) < 550.0 for k in spikes)


def test_the_random_walk_and_the_thermal_drift_stay_small() -> None:
    for name, bound_g in (("quiet", 2.5), ("L2", 7.0), ("L3", 22.0)):
        samples = _samples(replace(LEVELS[name], spikes=0.0), 1800.0, hz=1)
        minutes = [mean(samples[k : k + 60]) for k in range(0, len(samples), 60)]
        assert max(minutes) - min(minutes) < bound_g


def test_creep_shows_the_last_of_a_new_load_within_minutes() -> None:
    level = LEVELS["L3"]
    early, late = [], []
    for seed in range(30):
        plate = Plate(level, 0.0, Random(seed))
        before = [plate.sample_g(t / HZ) for t in range(HZ)]
        plate.handle(1.0, 0.5, 0.0, 50_000.0, 0.1, 0.2)
        settled = [plate.sample_g(4.0 + t / HZ) for t in range(HZ)]
        finished = [plate.sample_g(1200.0 + t / HZ) for t in range(HZ)]
        early.append(mean(settled) - mean(before))
        late.append(mean(finished) - mean(before))
    assert mean(early) == pytest.approx(50_000.0 * (1 - level.creep), abs=6.0)
    assert mean(late) - mean(early) == pytest.approx(50_000.0 * level.creep, abs=12.0)


@pytest.mark.parametrize(("name", "loss"), [("quiet", 0.2), ("L3", 0.08)])
def test_ringing_dies_as_its_damping_says(name: str, loss: float) -> None:
    level = LEVELS[name]
    assert level.ring_damping == loss
    plate = Plate(level, 0.0, Random(5))
    plate.handle(0.0, 0.2, 0.0, -2000.0, 0.0, 0.2)
    early = [plate.sample_g(0.2 + t / 200) + 2000 for t in range(40)]
    late = [plate.sample_g(2.4 + t / 200) + 2000 for t in range(40)]
    assert max(map(abs, early)) > 100.0
    assert stdev(late) < 2.5 * level.white_g


def test_a_hand_pushes_with_its_peak_and_leaves_nothing() -> None:
    plate = Plate(LEVELS["quiet"], 500.0, Random(3))
    plate.handle(1.0, 1.0, -100.0, 0.0, 0.0, 0.1)
    samples = [plate.sample_g(t / 100) for t in range(600)]
    assert min(samples) == pytest.approx(400.0, abs=4.0)
    assert mean(samples[400:]) == pytest.approx(500.0, abs=2.0)
