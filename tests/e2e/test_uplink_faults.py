"""The ledger link against a scripted broker: each row of the reason code table, TLS, windows.

The broker is written from the MQTT 5.0 standard, byte by byte, and says exactly what a test wants.
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest

from gateway.domain.messages import Stream
from gateway.domain.wire import Stamp
from gateway.endpoint import Tls, address_of
from gateway.letters import Identity
from gateway.mqtt import MqttSession
from gateway.mqtt_words import ConnectFailed, Publication, SessionTimers
from gateway.outbox_words import Cursor, Timers
from gateway.uplink import Uplink
from gateway.uplink_words import LinkTimers, UplinkStatus

INST = "5f0c6b1e9d3a4c7788e2b1a0c4d5e6f7"
MS = 1_000_000
QUICK = LinkTimers(
    session=SessionTimers(connect_s=0.5, keepalive_s=5, misc_s=0.05, puback_s=0.3),
    outbox=Timers(rto_ns=100 * MS, rto_max_ns=400 * MS),
    backoff_unit_s=0.01,
    backoff_max_s=0.05,
    steady_ns=300 * MS,
    refused_s=0.2,
    taken_over_s=0.2,
    taken_over_jitter_s=0.05,
)
PLAIN_CONNACK = b"\x20\x03\x00\x00\x00"


@dataclass
class Script:
    """What the broker says; `seen` is what it heard, by packet type."""

    connack: bytes = PLAIN_CONNACK
    suback: int = 0x01
    pubacks: dict[str, int] = field(default_factory=dict)
    """Reason by the last word of the topic."""
    silent: bool = False
    mute_pubacks: bool = False
    bye: int | None = None
    """DISCONNECT right after the first hello."""
    seen: list[tuple[int, bytes]] = field(default_factory=list)
    sessions: int = 0

    def topics(self) -> list[str]:
        return [body[2 : 2 + body[1]].decode() for kind, body in self.seen if kind == 3]


class FakeBroker:
    def __init__(self, script: Script, tls: ssl.SSLContext | None = None) -> None:
        self.script, self.tls = script, tls

    async def __aenter__(self) -> FakeBroker:
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0, ssl=self.tls)
        self.port = self.server.sockets[0].getsockname()[1]
        self.open = 0
        return self

    async def __aexit__(self, *_: object) -> None:
        self.server.close()
        await until(lambda: self.open == 0, "every connection closed")

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        self.script.sessions += 1
        try:
            while True:
                await self.answer(reader, writer)
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            writer.close()
            self.open -= 1

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        script = self.script
        kind = (await reader.readexactly(1))[0] >> 4
        length = shift = 0
        while True:
            byte = (await reader.readexactly(1))[0]
            length |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        body = await reader.readexactly(length)
        script.seen.append((kind, body))
        if script.silent:
            return
        if kind == 1:
            writer.write(script.connack)
        elif kind == 8:
            writer.write(b"\x90\x04" + body[:2] + b"\x00" + bytes([script.suback]))
        elif kind == 3:
            end = 2 + body[1]
            topic = body[2:end].decode()
            code = script.pubacks.get(topic.rsplit("/", 1)[1], 0)
            if not script.mute_pubacks:
                writer.write(b"\x40\x04" + body[end : end + 2] + bytes([code, 0]))
            if script.bye is not None and topic.endswith("hello"):
                writer.write(b"\xe0\x02" + bytes([script.bye, 0]))
                script.bye = None


class Clock:
    behind_ms = 0

    def now_ns(self) -> int:
        return time.time_ns()

    def wall_ms(self) -> int:
        return time.time_ns() // MS - self.behind_ms

    def stamp(self, at_ns: int) -> Stamp:
        return Stamp(tq="sync", te=4, mono_us=at_ns // 1000, boot="9c1f3e5a7b2d4c60")


class EmptyJournal:
    inst = INST

    def committed(self, stream: Stream) -> int:
        return 0

    def oldest(self, stream: Stream) -> int:
        return 1

    def bodies(self, stream: Stream, first: int, count: int, max_bytes: int) -> list[bytes]:
        return []

    def chain_at(self, stream: Stream, seq: int) -> bytes | None:
        return hashlib.sha256(bytes.fromhex(INST)).digest()

    def cursor(self, stream: Stream) -> Cursor:
        return Cursor()

    def keep_cursor(self, stream: Stream, cursor: Cursor) -> None:
        raise AssertionError("nobody acknowledges anything here")

    async def open_epoch(self, stream: Stream, epoch: int, why: str) -> None:
        raise AssertionError("nobody grants anything here")


class Link:
    def __init__(self, urls: list[str], tls: Tls | None = None, clock: Clock | None = None) -> None:
        self.alarms: list[str] = []
        self.cleared: list[str] = []
        self.uplink = Uplink(
            Identity("s0001", "a4bb6d2f9c10", INST, "1.0.0"),
            [address_of(url) for url in urls],
            tls,
            EmptyJournal(),
            clock or Clock(),
            Random(3),
            alarm=lambda code, _sev, _text: self.alarms.append(code),
            clear=self.cleared.append,
            timers=QUICK,
        )

    async def __aenter__(self) -> Link:
        self.task = asyncio.create_task(self.uplink.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.uplink.stop()
        await asyncio.wait_for(self.task, 5)

    @property
    def status(self) -> UplinkStatus:
        return self.uplink.status()


async def until(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline, f"never: {what}"
        await asyncio.sleep(0.005)


def plain(broker: FakeBroker) -> str:
    return f"mqtt://127.0.0.1:{broker.port}"


async def opened(
    script: Script, timers: SessionTimers = QUICK.session
) -> tuple[MqttSession, FakeBroker]:
    broker = await FakeBroker(script).__aenter__()
    session = MqttSession("s0001", Publication("w", b"{}", retain=True), time.time_ns, timers)
    await session.open(address_of(plain(broker)), None)
    return session, broker


@pytest.mark.parametrize(
    ("connack", "code", "text"),
    [
        (b"\x20\x02\x00\x01", 0x84, "MQTT 5"),
        (b"\x20\x03\x00\x84\x00", 0x84, "MQTT 5"),
        (b"\x20\x03\x00\x87\x00", 0x87, "Not authorized"),
        (b"\x20\x03\x00\x89\x00", 0x89, "busy"),
    ],
)
async def test_a_refusing_broker_is_named(connack: bytes, code: int, text: str) -> None:
    async with FakeBroker(Script(connack=connack)) as broker:
        session = MqttSession("s0001", Publication("w", b"{}"), time.time_ns, QUICK.session)
        with pytest.raises(ConnectFailed, match=text) as failed:
            await session.open(address_of(plain(broker)), None)
        session.close()
    assert failed.value.code == code


async def test_a_silent_peer_costs_the_timeout_and_no_more() -> None:
    async with FakeBroker(Script(silent=True)) as broker:
        session = MqttSession("s0001", Publication("w", b"{}"), time.time_ns, QUICK.session)
        began = time.monotonic()
        with pytest.raises(ConnectFailed, match="in time"):
            await session.open(address_of(plain(broker)), None)
        assert time.monotonic() - began < 5
        session.close()


async def test_the_window_is_the_smaller_receive_maximum() -> None:
    window_4 = b"\x20\x0b\x00\x00\x08\x21\x00\x04\x27\x00\x00\x40\x00"
    session, broker = await opened(Script(connack=window_4, mute_pubacks=True))
    assert (session.room, session.packet_max) == (4, 16_384)
    for _ in range(4):
        session.publish(Publication("a/b", b"{}"))
    assert session.room == 0
    with pytest.raises(RuntimeError, match="room"):
        session.publish(Publication("a/b", b"{}"))
    session.close()
    await broker.__aexit__()


async def test_a_broker_that_owes_pubacks_is_left() -> None:
    session, broker = await opened(Script(mute_pubacks=True))
    session.publish(Publication("a/b", b"{}"))
    await asyncio.wait_for(session.stirred.wait(), 5)
    assert "owes a PUBACK" in str(session.inbox[-1])
    session.close()
    await broker.__aexit__()


async def test_connack_not_authorized_alarms_and_waits() -> None:
    script = Script(connack=b"\x20\x03\x00\x87\x00")
    async with FakeBroker(script) as broker, Link([plain(broker)]) as link:
        await until(lambda: script.sessions >= 3, "tries again, slowly")
        assert link.alarms == ["not_authorized"], "said once"
        assert not link.status.connected


async def test_suback_refused_alarms_and_says_nothing_else() -> None:
    script = Script(suback=0x80)
    async with FakeBroker(script) as broker, Link([plain(broker)]) as link:
        await until(lambda: bool(link.alarms), "the alarm")
        assert link.alarms == ["not_authorized"]
        assert script.topics() == []


async def test_taken_over_alarms_and_comes_back() -> None:
    script = Script(bye=0x8E)
    async with FakeBroker(script) as broker, Link([plain(broker)]) as link:
        await until(lambda: script.sessions == 2 and link.status.connected, "back again")
        assert link.alarms == ["duplicate_identity"]
        assert "0x8e" in link.status.last_error
        await until(lambda: link.cleared == ["duplicate_identity"], "steady again")


@pytest.mark.parametrize(("code", "window"), [(0x97, 8), (0x95, 16)])
async def test_a_disconnect_bends_the_pace(code: int, window: int) -> None:
    script = Script(bye=code)
    async with FakeBroker(script) as broker, Link([plain(broker)]) as link:
        await until(lambda: script.sessions == 2 and link.status.connected, "back again")
        assert [stream.window for stream in link.status.streams] == [window, window]


@pytest.mark.parametrize("code", [0x9C, 0x9D])
async def test_use_another_server_means_our_own_next(code: int) -> None:
    first, second = Script(bye=code), Script()
    async with (
        FakeBroker(first) as a,
        FakeBroker(second) as b,
        Link([plain(a), plain(b)]) as link,
    ):
        await until(lambda: second.sessions == 1 and link.status.connected, "the next broker")
        assert link.status.broker == plain(b)
        assert first.sessions == 1


async def test_a_failed_attempt_takes_the_next_broker() -> None:
    good = Script()
    async with FakeBroker(good) as broker, Link(["mqtt://127.0.0.1:1", plain(broker)]) as link:
        await until(lambda: link.status.connected, "the second entry")
        assert link.status.failures_total == 1


async def test_no_matching_subscribers_is_absence() -> None:
    script = Script(pubacks={"hello": 0x10})
    async with FakeBroker(script) as broker, Link([plain(broker)]) as link:
        await until(lambda: all(s.absent for s in link.status.streams), "absent")
        await until(lambda: link.status.streams[0].hellos_total > 1, "hello after 4 x RTO")
        assert not link.alarms


async def test_a_refused_publish_alarms_and_keeps_on() -> None:
    script = Script(pubacks={"hello": 0x99})
    async with FakeBroker(script) as broker, Link([plain(broker)]) as link:
        await until(lambda: link.status.streams[0].hellos_total > 2, "still asking")
        assert link.alarms == ["publish_refused"], "both streams, said once"


# --- TLS ------------------------------------------------------------------------------------------


def openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CA; a broker for 127.0.0.1, one for elsewhere, one expired in 2001; a store."""
    folder = tmp_path_factory.mktemp("tls")
    ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl(folder, "req", "-x509", *ec, "-keyout", "ca.key", "-out", "ca.pem",
            "-subj", "/CN=ca", "-days", "9000")  # fmt: skip
    (folder / "index.txt").write_text("")
    (folder / "ca.cnf").write_text(
        "[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\nnew_certs_dir=.\nserial=serial\n"
        "default_md=sha256\npolicy=p\nunique_subject=no\ncopy_extensions=copy\n"
        "[p]\ncommonName=supplied\n"
    )
    for number, (name, place, start, end) in enumerate(
        [
            ("right", "IP:127.0.0.1", "20200101000000Z", "20490101000000Z"),
            ("elsewhere", "DNS:b2.example", "20200101000000Z", "20490101000000Z"),
            ("expired", "IP:127.0.0.1", "20000101000000Z", "20010101000000Z"),
            ("s0001", "DNS:s0001", "20200101000000Z", "20490101000000Z"),
        ]
    ):
        (folder / "serial").write_text(f"{number + 16:02x}")
        openssl(folder, "req", *ec, "-keyout", f"{name}.key", "-out", f"{name}.csr",
                "-subj", f"/CN={name}", "-addext", f"subjectAltName={place}")  # fmt: skip
        openssl(folder, "ca", "-batch", "-config", "ca.cnf", "-in", f"{name}.csr",
                "-out", f"{name}.pem", "-cert", "ca.pem", "-keyfile", "ca.key",
                "-startdate", start, "-enddate", end)  # fmt: skip
    return folder


def server_side(folder: Path, name: str, newest: ssl.TLSVersion) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
    context.load_verify_locations(folder / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    context.maximum_version = newest
    return context


async def over_tls(
    folder: Path,
    name: str,
    newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
    judge_ms: int | None = None,
) -> MqttSession:
    """A session that was opened, subscribed and heard a PUBACK. Raises ConnectFailed."""
    files = [str(folder / file) for file in ("ca.pem", "s0001.pem", "s0001.key")]
    async with FakeBroker(Script(), server_side(folder, name, newest)) as broker:
        session = MqttSession("s0001", Publication("w", b"{}"), time.time_ns, QUICK.session)
        try:
            address = address_of(f"mqtts://127.0.0.1:{broker.port}")
            await session.open(address, Tls(*files, judge_ms=judge_ms))
            await session.subscribe("stockd/v1/s0001/down/#")
            session.publish(Publication("a/b", b"{" + b" " * 90_000 + b"}"))
            await asyncio.wait_for(session.stirred.wait(), 5)
        finally:
            session.close()
    return session


async def test_tls_carries_large_messages_with_mutual_authentication(certificates: Path) -> None:
    session = await over_tls(certificates, "right")
    assert "code=0" in str(session.inbox[0])


async def test_tls_refuses_the_wrong_name(certificates: Path) -> None:
    with pytest.raises(ConnectFailed, match="IP address mismatch"):
        await over_tls(certificates, "elsewhere")


async def test_tls_refuses_what_is_older_than_1_3(certificates: Path) -> None:
    # Python 3.11.2, of Debian 12, is told no more than that the broker hung up.
    says = "EOF" if sys.version_info[:3] == (3, 11, 2) else "protocol"
    with pytest.raises(ConnectFailed, match=says):
        await over_tls(certificates, "right", ssl.TLSVersion.TLSv1_2)


async def test_tls_judges_by_the_best_clock_known(certificates: Path) -> None:
    with pytest.raises(ConnectFailed, match="expired"):
        await over_tls(certificates, "expired")
    with pytest.raises(ConnectFailed, match="not valid at this time"):
        await over_tls(certificates, "expired", judge_ms=time.time_ns() // MS)
    june_2000_ms = 959_817_600_000
    await over_tls(certificates, "expired", judge_ms=june_2000_ms)


async def test_a_clock_that_is_behind_does_not_lock_the_store_out(certificates: Path) -> None:
    clock = Clock()
    clock.behind_ms = 20 * 365 * 86_400_000
    files = [str(certificates / file) for file in ("ca.pem", "s0001.pem", "s0001.key")]
    server = server_side(certificates, "right", ssl.TLSVersion.TLSv1_3)
    async with (
        FakeBroker(Script(), server) as broker,
        Link([f"mqtts://127.0.0.1:{broker.port}"], Tls(*files), clock) as link,
    ):
        await until(lambda: link.status.connected, "connected by gateway time")


@pytest.mark.parametrize(
    ("url", "allow", "good"),
    [
        ("mqtt://127.0.0.1", False, True),
        ("mqtt://[::1]:1883", False, True),
        ("mqtt://localhost:1883", False, True),
        ("mqtt://b1.example:1883", False, False),
        ("mqtt://b1.example:1883", True, True),
        ("mqtts://b1.example", False, True),
        ("http://b1.example", True, False),
        ("mqtts://", True, False),
    ],
)
def test_plain_text_stays_on_this_machine(url: str, allow: bool, good: bool) -> None:
    if good:
        assert address_of(url, allow).url == url
    else:
        with pytest.raises(ValueError, match="mqtts://"):
            address_of(url, allow)
