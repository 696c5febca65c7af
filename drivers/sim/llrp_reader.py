"""An RFID reader on LLRP: one client, its requests answered, tags reported; from the standard.

    client  GET_READER_CAPABILITIES, SET_READER_CONFIG, ADD_ROSPEC, ENABLE_ROSPEC, START_ROSPEC ...
    reader  ..._RESPONSE; then RO_ACCESS_REPORT, READER_EVENT_NOTIFICATION, KEEPALIVE

Source: EPCglobal Low Level Reader Protocol 1.0.1; GS1 LLRP 1.1 for version negotiation. Here: the
instrument, pure: bytes in, bytes out. Not here: its bytes (`llrp_bytes`), what it can be told
(`llrp_specs`, `llrp_abilities`), the ROSpecs at work (`llrp_inventory`), the tags (`tags`), the
port. Access commands, RF surveys, inputs and outputs are not of this reader: it refuses them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

from drivers.sim import llrp_buffer, llrp_inventory
from drivers.sim.llrp_abilities import (
    ANTENNA_EVENT,
    ROSPEC_EVENT,
    VISIT_DETAILS_EVENT,
    VISIT_EVENT,
    WARNING_EVENT,
    Config,
    capabilities,
)
from drivers.sim.llrp_buffer import Buffer, Read
from drivers.sim.llrp_bytes import (
    HEADER_BYTES,
    M_PARAMETER_ERROR,
    M_UNEXPECTED_MESSAGE,
    M_UNSUPPORTED_MESSAGE,
    M_UNSUPPORTED_VERSION,
    OK,
    Fields,
    Malformed,
    Message,
    Refused,
    message,
    status,
    tlv,
    unsupported,
)
from drivers.sim.llrp_inventory import Happened, Work
from drivers.sim.llrp_knobs import VERSION_1_0_1, VERSION_1_1, WELL_BEHAVED, Knobs
from drivers.sim.llrp_reports import Teller
from drivers.sim.llrp_specs import only, rospec
from drivers.sim.tags import Air

REQUEST_MAX_BYTES: Final = 65_536
UNACKNOWLEDGED_MAX: Final = 5
"""Keepalives without an answer; then the client is taken for dead."""
REPORT, KEEPALIVE, EVENT, ERROR = 61, 62, 63, 100
CONNECTED, ALREADY_CONNECTED = 0, 2
_ANSWERS: Final = {14: 4}
"""The response to CLOSE_CONNECTION; all others are ten above their request."""
_WORDLESS: Final = (72, 60, 64)
"""KEEPALIVE_ACK, GET_REPORT, ENABLE_EVENTS_AND_REPORTS have no response of their own."""


class LlrpReader:
    """One reader. Times are the simulator's, in seconds, and never go back."""

    def __init__(
        self,
        antennas: int,
        field: Air,
        *,
        reader_id: str,
        clock_offset_us: int = 0,
        clock_drift_ppm: int = 0,
        knobs: Knobs = WELL_BEHAVED,
    ) -> None:
        """`reader_id`: an EUI-64 in hex. Its clock reads `at_s` plus the offset, and drifts."""
        self.hangs_up = False
        """Whether it ends the connection, after what it said last."""
        self._antennas, self._field, self._knobs = antennas, field, knobs
        self._teller = Teller(clock_offset_us, clock_drift_ppm, utc=knobs.utc, extras=knobs.extras)
        self._config = Config(antennas, reader_id)
        self._buffer = Buffer(knobs.buffer_tags, merges=not knobs.hoards_s)
        self._work = Work(field, self._buffer, restarts=knobs.restarts)
        self._now_us = 0
        self._message_id = 0
        self._hoarded_us = 0
        self._here = self._due = False
        self._out: list[bytes] = []
        self._begin(0)
        self._answers: dict[int, Callable[[Fields, int], bytes]] = {
            1: self._capabilities,
            2: self._get_config,
            3: self._set_config,
            14: self._close,
            20: self._add,
            21: lambda fields, at_us: self._on(self._work.delete, fields, at_us),
            22: lambda fields, at_us: self._on(self._work.start, fields, at_us),
            23: lambda fields, at_us: self._on(self._work.stop, fields, at_us),
            24: lambda fields, at_us: self._on(self._work.enable, fields, at_us),
            25: lambda fields, at_us: self._on(self._work.disable, fields, at_us),
            26: self._rospecs,
            40: self._access_spec,
            41: self._access_spec,
            42: self._access_spec,
            43: self._access_spec,
            44: self._access_specs,
            46: self._supported_version,
            47: self._set_version,
        }

    # --- the connection

    def connected(self, at_s: float) -> bytes:
        """A client has connected: it is told so, and its requests are awaited."""
        at_us = self._us(at_s)
        self._begin(at_us)
        self._here, self._holding = True, self._config.holds
        self._event(at_us, tlv(256, CONNECTED.to_bytes(2)))
        if self._due and not self._holding:
            self._report_held()
        return self._said()

    def refusal(self) -> bytes:
        """What a second client hears; its connection is then ended."""
        words = tlv(256, ALREADY_CONNECTED.to_bytes(2))
        return message(EVENT, self._teller.event(self._now_us, words), 0, VERSION_1_0_1)

    def closed(self) -> None:
        """The client has gone; ROSpecs go on, and what they hear is kept."""
        self._here = False
        self._heard.clear()

    def hear(self, at_s: float, data: bytes) -> bytes:
        """Bytes of the client; what is answered. Never raises."""
        at_us = self._us(at_s)
        self._heard += data
        while self._here and not self.hangs_up and len(self._heard) >= HEADER_BYTES:
            head, length, number = struct.unpack(">HII", self._heard[:HEADER_BYTES])
            if not HEADER_BYTES <= length <= REQUEST_MAX_BYTES or head >> 13:
                # nobody knows where the next message begins
                self._error(number, Refused(M_UNSUPPORTED_MESSAGE, "this is no LLRP message"))
                self._hang_up(at_us)
                break
            if len(self._heard) < length:
                break
            body = bytes(self._heard[HEADER_BYTES:length])
            del self._heard[:length]
            self._obey(Message(head >> 10, head & 0x3FF, number, body), at_us)
        return self._said()

    def tick(self, at_s: float) -> bytes:
        """Goes on with inventory; what there is to say unasked."""
        at_us = self._us(at_s)
        self._work.default = self._config.report
        happened = self._work.run(at_us)
        if self._field.stalled(at_s):
            return self._said()
        for one in happened:
            self._tell(one)
        if self._here:
            self._keep_alive(at_us)
            after_us = round(self._knobs.hangs_up_after_s * 1e6)
            self.hangs_up |= 0 < after_us <= at_us - self._begun_us
        return self._said()

    def lose_antenna(self, antenna: int) -> None:
        """Its cable comes off; told with the next tick."""
        if antenna not in self._work.lost:
            self._work.lost.add(antenna)
            self._antenna_event(antenna, connected=False)

    def restore_antenna(self, antenna: int) -> None:
        """Its cable is on again; told with the next tick."""
        if antenna in self._work.lost:
            self._work.lost.discard(antenna)
            self._antenna_event(antenna, connected=True)

    def _antenna_event(self, antenna: int, *, connected: bool) -> None:
        if self._here and ANTENNA_EVENT in self._config.events:
            self._event(self._now_us, tlv(255, struct.pack(">BH", connected, antenna)))

    def _begin(self, at_us: int) -> None:
        """Nothing is left of the connection before."""
        self.hangs_up = self._holding = self._negotiated = False
        self._version = VERSION_1_0_1
        self._heard = bytearray()
        self._begun_us = self._alive_us = at_us
        self._unacknowledged = 0
        self._out.clear()

    def _hang_up(self, at_us: int) -> None:
        self._event(at_us, tlv(257))
        self.hangs_up = True

    # --- requests

    def _obey(self, request: Message, at_us: int) -> None:
        negotiates = request.kind in (46, 47) and self._knobs.newest >= VERSION_1_1
        # the negotiation is in 1.1 on both sides, whatever was agreed on
        version = VERSION_1_1 if negotiates else self._version
        if (unknown := self._unknown(request, version)) is not None:
            self._error(request.message_id, unknown)
        elif request.kind in _WORDLESS:
            self._wordless(request.kind)
        else:
            try:
                body = self._answers[request.kind](Fields(request.body), at_us)
            except Refused as refused:
                body = refused.status
            except Malformed as malformed:
                self._error(request.message_id, Refused(M_PARAMETER_ERROR, str(malformed)))
                return
            kind = _ANSWERS.get(request.kind, request.kind + 10)
            self._out.append(message(kind, body, request.message_id, version))

    def _unknown(self, request: Message, version: int) -> Refused | None:
        """Why a request has no answer of its own but ERROR_MESSAGE; None where it has one."""
        if request.version != version:
            return Refused(M_UNSUPPORTED_VERSION, f"the version here is {version}")
        known = request.kind in self._answers or request.kind in _WORDLESS
        if request.kind in (46, 47):
            known = self._knobs.newest >= VERSION_1_1
        if request.kind == 64:
            known = self._knobs.knows_enable_events
        return None if known else Refused(M_UNSUPPORTED_MESSAGE, f"no message {request.kind} here")

    def _wordless(self, kind: int) -> None:
        if kind == 72:
            self._unacknowledged = 0
        else:
            self._holding = self._due = False
            if kind == 60:
                self._say_tags(self._buffer.take_all())
            else:
                self._report_held()

    def _on(self, act: Callable[[int, int], None], fields: Fields, at_us: int) -> bytes:
        number = fields.number(4)
        fields.end()
        act(number, at_us)
        return status(OK)

    def _add(self, fields: Fields, at_us: int) -> bytes:
        inside = fields.parameters()
        for one in inside:
            if one.kind != 177:
                raise unsupported(one.kind)
        spec = only(inside, 177)
        self._work.add(rospec(spec, self._antennas, self._version))
        return status(OK)

    def _rospecs(self, fields: Fields, at_us: int) -> bytes:
        fields.end()
        return status(OK) + b"".join(tlv(177, body) for body in self._work.said())

    def _access_spec(self, fields: Fields, at_us: int) -> bytes:
        """All of them (0) is none of them; anything else asks for what it cannot do."""
        if fields.number(4):
            raise unsupported(207)
        return status(OK)

    def _access_specs(self, fields: Fields, at_us: int) -> bytes:
        fields.end()
        return status(OK)

    def _capabilities(self, fields: Fields, at_us: int) -> bytes:
        wanted = fields.number(1)
        knobs = self._knobs
        return status(OK) + capabilities(
            wanted, self._antennas, self._version, utc=knobs.utc, extras=knobs.extras
        )

    def _get_config(self, fields: Fields, at_us: int) -> bytes:
        antenna, wanted = fields.number(2), fields.number(1)
        fields.take(4)
        lost = self._work.lost
        return status(OK) + self._config.told(wanted, antenna, lost, extras=self._knobs.extras)

    def _set_config(self, fields: Fields, at_us: int) -> bytes:
        reset = fields.number(1) & 0x80
        settings = fields.parameters()
        self._config.check(settings, self._version)
        if reset:
            self._config.reset()
            self._work.delete(0, at_us)
        self._config.apply(settings, self._version)
        self._alive_us = at_us
        return status(OK)

    def _close(self, fields: Fields, at_us: int) -> bytes:
        self.hangs_up = True
        return status(OK)

    def _supported_version(self, fields: Fields, at_us: int) -> bytes:
        return bytes((self._version, self._knobs.newest)) + status(OK)

    def _set_version(self, fields: Fields, at_us: int) -> bytes:
        wanted = fields.number(1)
        if self._negotiated:
            raise Refused(M_UNEXPECTED_MESSAGE, "the version was agreed on already")
        if not VERSION_1_0_1 <= wanted <= self._knobs.newest:
            raise Refused(M_UNSUPPORTED_VERSION, f"the newest version here is {self._knobs.newest}")
        self._version, self._negotiated = wanted, True
        return status(OK)

    def _error(self, number: int, refused: Refused) -> None:
        self._out.append(message(ERROR, refused.status, number, self._version))

    # --- what is said unasked

    def _us(self, at_s: float) -> int:
        self._now_us = max(self._now_us, round(at_s * 1e6))
        return self._now_us

    def _said(self) -> bytes:
        said = b"".join(self._out)
        self._out.clear()
        return said

    def _next_id(self) -> int:
        self._message_id = self._message_id % 0xFFFF_FFFF + 1
        return self._message_id

    def _event(self, at_us: int, what: bytes) -> None:
        body = self._teller.event(at_us, what)
        self._out.append(message(EVENT, body, self._next_id(), self._version))

    def _report(self, at_us: int) -> None:
        """Says the report that is due, unless it is to be held back."""
        hoards_us = round(self._knobs.hoards_s * 1e6)
        self._due |= not self._here or self._holding
        if self._due or at_us - self._hoarded_us < hoards_us:
            return
        self._hoarded_us = at_us
        self._say_tags(self._buffer.take_all() if hoards_us else self._buffer.take())

    def _report_held(self) -> None:
        """Says the reports that were held back."""
        self._due = False
        while reads := self._buffer.take():
            self._say_tags(reads)

    def _say_tags(self, reads: list[Read]) -> None:
        body = self._teller.report(reads)
        self._out.append(message(REPORT, body, self._next_id(), self._version))

    def _keep_alive(self, at_us: int) -> None:
        period_us = self._config.keepalive_us
        if not period_us or self._knobs.silent or at_us - self._alive_us < period_us:
            return
        if self._unacknowledged == UNACKNOWLEDGED_MAX:
            self._hang_up(at_us)
            return
        # one that is late is not made up for
        self._alive_us += (at_us - self._alive_us) // period_us * period_us
        self._unacknowledged += 1
        self._out.append(message(KEEPALIVE, b"", self._next_id(), self._version))

    def _tell(self, one: Happened) -> None:
        at_us, events = one.at_us, self._config.events
        if one.what == llrp_inventory.REPORT:
            self._report(at_us)
        elif one.what == llrp_buffer.OVERFLOW:
            self._happened(at_us, tlv(251))
        elif one.what == llrp_buffer.WARNING:
            if WARNING_EVENT in events:
                self._happened(at_us, tlv(250, bytes((self._buffer.percent,))))
        elif one.what == llrp_inventory.VISITED:
            if VISIT_EVENT in events or VISIT_DETAILS_EVENT in events:
                # singulation details are the reader's to give, and this one has none
                said = struct.pack(">BIH", 0, one.rospec_id, one.spec_index)
                self._happened(at_us, tlv(254, said))
        elif ROSPEC_EVENT in events:
            ended = one.what == llrp_inventory.END
            self._happened(at_us, tlv(249, struct.pack(">BII", ended, one.rospec_id, 0)))

    def _happened(self, at_us: int, what: bytes) -> None:
        """An event of the inventory: held back like reports, and then lost."""
        if self._here and not self._holding:
            self._event(at_us, what)
