"""Asks ports who they are: listens first, asks little, keeps to a time limit, closes politely.

Here: opening, waiting, the order of things. Not here: what is asked and how an answer is
recognised (`registry.probes`), which ports may be probed (`gateway.cli.devices`).

    listen 1.5 s --> speaks by itself: listen at other settings, never write
                 +-> silent: ask, setting by setting, until the first answer of any kind
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Final, Literal
from urllib.parse import parse_qsl

import msgspec

from gateway.discover import plugged
from gateway.domain.reading import Word
from gateway.registry import (
    DeviceLost,
    DeviceMisconfigured,
    Link,
    build_options,
    choices,
    driver_names,
    load,
    open_link,
    probes,
)

LIMIT_S: Final = 8.0
LISTEN_MS: Final = 1500
"""A scale that streams slowly sends two lines within it."""
LISTEN_AGAIN_MS: Final = 900
ANSWER_MS: Final = 300
"""Scales answer within 100 ms, Modbus transmitters within 200 ms."""
GAP_MS: Final = 120
"""Silence that ends an answer."""
GREETING_MS: Final = 3000
GOODBYE_MS: Final = 1000
HEARD_MAX_BYTES: Final = 4096
SAMPLE_BYTES: Final = 32
AT_ONCE_MAX: Final = 16

Outcome = Literal["found", "in_use", "foreign", "unknown", "silent", "unreachable"]
Say = Callable[[str, str], None]
"""Progress: which port, and what is being tried there."""


class Target(Word, frozen=True):
    """A port to be probed."""

    name: str
    """As people call it."""
    link: str
    """`serial:///dev/ttyUSB0` or `tcp://10.0.0.7:4001`, without settings."""
    setting: str = ""
    """The only line setting to try, as in a link; empty: the usual ones."""


class Finding(Word, frozen=True):
    """What came of one port."""

    port: str
    outcome: Outcome
    text: str
    """For people."""
    driver: str = ""
    options: Mapping[str, str] = {}
    link: str = ""
    """What store.toml would say of it."""
    device: str = ""
    """Which configured device it is."""
    sample: str = ""
    """Hexadecimal, the first 32 bytes heard."""
    written_bytes: int = 0


class _Refused(Exception):
    """An adapter that cannot have a line setting, as some have no seven bits."""


_UNKNOWN: Final = probes.Verdict("unknown")


class _Line:
    """One port under examination: at most one link is open, and what is written is counted."""

    def __init__(self, target: Target, candidates: Sequence[probes.Candidate], say: Say) -> None:
        self._target, self._candidates, self._say = target, candidates, say
        self._setting = ""
        self._opened = False
        self._heard = b""
        self.written_bytes = 0

    async def serial(self) -> Finding:
        """Raises DeviceLost and DeviceMisconfigured."""
        settings = self._settings(probes.SETTINGS)
        verdict = await self._listen(settings[0], LISTEN_MS)
        if verdict.kind == "nothing":
            return self._finding(await self._ask_all())
        for setting in settings[1:]:
            if verdict.kind in ("found", "foreign"):
                break
            with suppress(_Refused):
                verdict = await self._listen(setting, LISTEN_AGAIN_MS)
        return self._finding(verdict if verdict.kind != "nothing" else _UNKNOWN)

    async def llrp(self) -> Finding:
        """Reads the greeting of a reader and hangs up. Raises DeviceLost."""
        self._say(self._target.name, "waits for the greeting of an RFID reader")
        with _closing(await open_link(self._target.link)) as link:
            greeting = None
            while greeting is None and len(self._heard) < HEARD_MAX_BYTES:
                chunk = await link.read_within(GREETING_MS)
                if chunk is None:
                    break
                self._heard += chunk
                greeting = probes.llrp_greeting(self._heard)
            if greeting is None:
                return self._finding(probes.Verdict("unknown" if self._heard else "nothing"))
            if greeting == "Success":
                self._write(link, probes.llrp_goodbye())
                with suppress(DeviceLost):
                    await link.read_within(GOODBYE_MS)
        note = "" if greeting == "Success" else f"; it refused us: {greeting}"
        found = self._finding(probes.Verdict("found", probes.Protocol("rfid_llrp")))
        return msgspec.structs.replace(found, text=f"an RFID reader{note}")

    async def modbus_tcp(self) -> Finding:
        """Reads two registers of unit 1. Raises DeviceLost."""
        question = probes.modbus_tcp_question()
        self._say(self._target.name, "asks in Modbus TCP")
        with _closing(await open_link(self._target.link)) as link:
            self._write(link, question.sends)
            self._heard = await link.read_within(ANSWER_MS * 3) or b""
        if probes.is_modbus_tcp(self._heard):
            return self._finding(probes.Verdict("found", question.protocol))
        return self._finding(probes.Verdict("unknown" if self._heard else "nothing"))

    async def _listen(self, setting: str, for_ms: int) -> probes.Verdict:
        self._setting = setting
        self._say(self._target.name, f"listens at {line_words(setting)}")
        verdict, heard = probes.NOTHING, b""
        with _closing(await self._open()) as link, suppress(TimeoutError):
            async with asyncio.timeout(for_ms / 1000):
                while verdict.kind in ("nothing", "unknown") and len(heard) < HEARD_MAX_BYTES:
                    heard += await link.read()
                    verdict = probes.unasked(heard, self._candidates)
        self._heard = heard or self._heard
        return verdict

    async def _ask_all(self) -> probes.Verdict:
        drivers = {protocol.driver for protocol, _ in self._candidates}
        for step in self._steps():
            self._setting = step.setting
            with suppress(_Refused), _closing(await self._open()) as link:
                for question in step.questions:
                    if question.protocol.driver not in drivers:
                        continue
                    verdict = await self._ask(link, question)
                    if verdict.kind != "nothing":
                        return verdict
        return probes.NOTHING

    async def _open(self) -> Link:
        """Raises _Refused when the port has been open before, but cannot have this setting."""
        try:
            link = await open_link(self._link())
        except DeviceLost as error:
            if self._opened and plugged.real(self._target.link.partition("://")[2]):
                raise _Refused from error
            raise
        self._opened = True
        return link

    def _steps(self) -> Sequence[probes.Step]:
        settings = self._settings(())
        if not settings:
            return probes.STEPS
        each = {one.sends: one for step in probes.STEPS for one in step.questions}
        return (probes.Step(settings[0], tuple(each.values())),)

    async def _ask(self, link: Link, question: probes.Question) -> probes.Verdict:
        driver = question.protocol.driver
        self._say(self._target.name, f"asks as {driver} at {line_words(self._setting)}")
        self._write(link, question.sends)
        verdict, heard = probes.NOTHING, b""
        chunk = await link.read_within(ANSWER_MS)
        while chunk is not None and len(heard) < HEARD_MAX_BYTES:
            heard += chunk
            verdict = probes.answer(question, heard, self._candidates)
            chunk = None if verdict.kind == "found" else await link.read_within(GAP_MS)
        self._heard = heard
        return verdict

    def _write(self, link: Link, data: bytes) -> None:
        self.written_bytes += len(data)
        link.write(data)

    def _settings(self, usual: Sequence[str]) -> Sequence[str]:
        if self._target.link.startswith("tcp:"):
            return ("",)
        return (self._target.setting,) if self._target.setting else usual

    def _link(self) -> str:
        return f"{self._target.link}?{self._setting}" if self._setting else self._target.link

    def _finding(self, verdict: probes.Verdict) -> Finding:
        at = f" at {line_words(self._setting)}" if self._setting else ""
        asked = "asked for" if self.written_bytes else "by itself, nothing was written"
        sample = self._heard[:SAMPLE_BYTES].hex()
        outcome: Outcome = "unknown"
        match verdict.kind:
            case "found":
                outcome, text = "found", f"speaks{at}, {asked}"
                for other in verdict.others:
                    said = " ".join(f"{key}={value}" for key, value in other.options.items())
                    text += f"; or {other.driver} {said}"
            case "foreign":
                outcome, text = "foreign", f"{verdict.says}: left alone"
            case "echo":
                text = "gives back what it is sent (a modem, a console): left alone"
            case "unknown":
                text = f"speaks, but nothing we know: {sample}; left alone"
                if self._setting and not self._target.setting:
                    text += f". If its setting is another, give it: {self._target.link}?baud=..."
            case _:
                outcome, text = "silent", "says nothing: check power, cable (crossed?), settings"
        found = verdict.protocol
        return Finding(
            port=self._target.name,
            outcome=outcome,
            text=text,
            driver=found.driver if found else "",
            options=found.options if found else {},
            link=self._link() if found else "",
            sample=sample,
            written_bytes=self.written_bytes,
        )


def candidates() -> tuple[probes.Candidate, ...]:
    """The protocols that can be recognised: those whose driver is there, with each preset."""
    found: list[probes.Candidate] = []
    for name in (one for one in (*probes.WEIGHING, *probes.OTHERS) if one in driver_names()):
        driver = load(name)
        presets = choices(driver, "preset") if name in probes.WEIGHING else ()
        told = [{"preset": one} for one in presets if one not in probes.LIBERAL]
        for options in told or [{}]:
            built = build_options(driver, options)
            found.append((probes.Protocol(name, options), partial(driver.decoder, built)))
    return tuple(found)


@contextmanager
def _closing(link: Link) -> Iterator[Link]:
    try:
        yield link
    finally:
        link.close()


def line_words(setting: str) -> str:
    """A line setting as people write it.

    >>> line_words("baud=9600&bytesize=7&parity=E"), line_words("")
    ('9600 7E1', 'the setting of its terminal server')
    """
    said = dict(parse_qsl(setting))
    if "baud" not in said:
        return "the setting of its terminal server"
    frame = said.get("bytesize", "8") + said.get("parity", "N") + said.get("stopbits", "1")
    return f"{said['baud']} {frame}"


async def probe(
    target: Target,
    candidates: Sequence[probes.Candidate],
    say: Say,
    limit_s: float = LIMIT_S,
) -> Finding:
    """Who speaks at one port. Raises nothing for a port that is sick, gone or busy."""
    line = _Line(target, candidates, say)
    try:
        async with asyncio.timeout(limit_s):
            if target.link.endswith(f":{probes.LLRP_PORT}"):
                return await line.llrp()
            if target.link.endswith(f":{probes.MODBUS_PORT}"):
                return await line.modbus_tcp()
            return await line.serial()
    except TimeoutError:
        text = f"nothing we know within {limit_s:g} s"
        return Finding(target.name, "silent", text, written_bytes=line.written_bytes)
    except (DeviceLost, DeviceMisconfigured) as error:
        return Finding(target.name, "unreachable", str(error), written_bytes=line.written_bytes)


async def probe_all(
    targets: Sequence[Target],
    candidates: Sequence[probes.Candidate],
    say: Say,
    limit_s: float = LIMIT_S,
) -> list[Finding]:
    """Every port, side by side, in the order given."""
    seats = asyncio.Semaphore(AT_ONCE_MAX)

    async def one(target: Target) -> Finding:
        async with seats:
            return await probe(target, candidates, say, limit_s)

    return await asyncio.gather(*map(one, targets))
