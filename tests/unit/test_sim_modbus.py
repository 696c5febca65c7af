"""The simulated transmitter says what the Modbus specification says, and is as bounded."""

from __future__ import annotations

import struct
from random import Random

import pytest

from drivers.sim.levels import LEVELS
from drivers.sim.modbus import Layout, ModbusScale
from drivers.sim.plate import Plate

# "01 03 00 50 00 02 C4 1A" and its like are printed in the manual of a real transmitter
READ_80 = bytes.fromhex("010300500002c41a")


class Cell:
    def __init__(self, load_g: float) -> None:
        self.load_g = load_g

    def sample_g(self, at_s: float) -> float:
        return self.load_g


def scale(load_g: float, **layout: object) -> ModbusScale:
    made = ModbusScale({1: Cell(load_g)}, Layout(**layout))  # type: ignore[arg-type]
    for at in range(20):
        made.sample(at / 10)
    return made


def test_an_answer_as_the_manual_prints_it() -> None:
    assert scale(132.0, register=80).hear(READ_80).hex() == "01030400000084fa50"
    assert scale(-15889.0, register=80).hear(READ_80).hex() == "010304ffffc1efea0b"


def test_a_request_may_come_in_any_pieces_and_after_noise() -> None:
    made = scale(132.0, register=80)
    answers = [made.hear(READ_80[at : at + 1]) for at in range(len(READ_80))]
    assert answers == [b""] * 7 + [bytes.fromhex("01030400000084fa50")]
    assert made.hear(b"\xff\x00" + READ_80 + READ_80).hex() == "01030400000084fa50" * 2


def test_nothing_is_said_to_a_wrong_crc_or_another_unit() -> None:
    made = scale(132.0, register=80)
    assert made.hear(READ_80[:-1] + b"\0") == b""
    assert made.hear(bytes.fromhex("02030050")) == b""
    assert made.tick(2.0) == made.tick(2.1) == b""  # a silence ends what was begun
    assert made.hear(READ_80) != b""


TCP = "0102000000"


@pytest.mark.parametrize(
    ("request_hex", "answer_hex"),
    [
        ("06010300000002", "07010304000004db"),
        ("06010300000001", "05010302" + "0000"),
        ("06010300000003", "030183" + "02"),
        ("0601030000007e", "030183" + "03"),
        ("06010300000000", "030183" + "03"),
        ("06010400000002", "030184" + "01"),
        ("06010600000001", "030186" + "01"),
        ("0601050000ff00", "030185" + "01"),
        ("0b0110000000020400000000", "030190" + "01"),
    ],
)
def test_answers_and_exceptions_on_a_connection(request_hex: str, answer_hex: str) -> None:
    made = scale(1243.0, framing="tcp")
    assert made.hear(bytes.fromhex(TCP + request_hex)).hex() == TCP + answer_hex


@pytest.mark.parametrize(
    ("kind", "load_g", "words"),
    [
        ("int16", -3.0, [0xFFFD]),
        ("int16", 40_000.0, [0x7FFF]),
        ("uint16", -3.0, [0]),
        ("int32", 70_000.0, [1, 4464]),
        ("float32", -0.0, [0, 0]),
        ("float32", 1243.0, list(struct.unpack(">HH", struct.pack(">f", 1243.0)))),
    ],
)
def test_numbers(kind: str, load_g: float, words: list[int]) -> None:
    for low_word_first in (False, True):
        made = scale(load_g, framing="tcp", type=kind, low_word_first=low_word_first)
        said = made.hear(bytes.fromhex(f"{TCP}0601030000{len(words):04x}"))
        order = words[::-1] if low_word_first else words
        assert list(struct.unpack(f">{len(words)}H", said[9:])) == order


@pytest.mark.parametrize(
    ("load_g", "status"), [(0.0, 0b1001), (100.0, 1), (15_009.0, 1), (15_010.0, 3), (-301.0, 5)]
)
def test_the_status(load_g: float, status: int) -> None:
    made = scale(load_g, framing="tcp", status_register=5)
    assert made.hear(bytes.fromhex(TCP + "06010300050001"))[-1] == status


def test_a_plate_that_shakes_is_not_stable() -> None:
    plate = Plate(LEVELS["quiet"], 1243.0, Random(7))
    made = ModbusScale({1: plate}, Layout("tcp", status_register=2))
    made.sample(0.0)
    ask = bytes.fromhex(TCP + "06010300020001")
    assert made.hear(ask)[-1] == 0  # it has not been seen for a second yet
    plate.handle(1.0, 2.0, 800.0, -500.0, 1.0, 0.2)
    said = [made.tick(at / 10, ask)[-1] for at in range(1, 200)]
    assert 1 in said[150:]
    assert 0 in said[10:30]


def test_endless_noise_is_held_within_bounds() -> None:
    for framing in ("rtu", "tcp"):
        made = scale(1.0, framing=framing)
        for _ in range(50):
            made.hear(b"\x01\x10\x00\x00\x00\x02\xff" * 100)
            assert len(made._heard) <= 260
