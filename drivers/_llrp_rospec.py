"""What a reader is told to do: its ROSpec and its configuration, from its capabilities. Pure.

Source: LLRP 1.0.1 chapters 9 (capabilities), 10 (ROSpec), 12.2 (configuration); ALGORITHMS.md
section 3.5 for the values; Impinj Octane LLRP for the vendor's custom parameters.

Here: capabilities read, power and RF mode chosen, messages built. Not here: their bytes (`_llrp`),
when they are sent and what the answer means (`rfid_llrp`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from drivers._llrp import Element, Message, Value, element, parameter_bytes
from drivers.base import DeviceMisconfigured

ROSPEC_ID: Final = 5084
AUTO: Final = -1
"""RF mode or session: chosen here."""

IMPINJ: Final = 25882
"""The IANA number of Impinj, by which its readers and its parameters are known."""
_IMPINJ_SEARCH_MODE, _IMPINJ_CONTENT, _IMPINJ_ENABLE_PEAK_RSSI = 23, 50, 53
_SINGLE_TARGET, _DUAL_TARGET = 1, 2
_IMPINJ_AUTOSET: Final = (1002, 1000, 1004)
"""Deep scan in a dense environment first, then the other automatic modes for one."""

_INDEX_MAX: Final = 65_535
"""A mode is named by 32 bits in the table and by 16 in a command."""
_ANTENNAS_MAX: Final = 64
"""More than any reader has; so many would be told as one."""

_EVENTS: Final = {
    "Upon_Hopping_To_Next_Channel": 0,
    "GPI_Event": 0,
    "ROSpec_Event": 1,
    "Reader_Exception_Event": 1,
    "RFSurvey_Event": 0,
    "AISpec_Event": 1,
    "AISpec_Event_With_Details": 0,
    "Antenna_Event": 1,
}


class Scheme(NamedTuple):
    """A column of ALGORITHMS.md section 3.5."""

    each_antenna: bool  # an AISpec for each antenna, or one for all
    visit_ms: int  # how long an AISpec lasts
    pass_ms: int  # how long the ROSpec lasts, and then it is started again; 0 = for ever
    modulations: tuple[str, ...]  # in order of preference, the fastest of each
    session: int
    search: int
    population: int
    transit_ms: int
    every_n: int  # tags a report; 0 = one report an AISpec


_FAST: Final = ("MV_2", "MV_4", "MV_FM0", "MV_8")
_DEEP: Final = ("MV_8", "MV_4", "MV_2", "MV_FM0")
SCHEMES: Final = {
    "shelf": Scheme(True, 250, 0, _FAST, 0, _DUAL_TARGET, 500, 500, 0),
    "till": Scheme(False, 250, 0, _FAST, 0, _DUAL_TARGET, 32, 500, 1),
    "stocktake": Scheme(False, 10_000, 10_000, _DEEP, 2, _SINGLE_TARGET, 3000, 10_000, 0),
}


@dataclass(frozen=True, slots=True)
class Wish:
    """What the shop wants of a reader."""

    mode: str = "shelf"
    antennas: tuple[int, ...] = ()
    """Empty: every antenna the reader has."""
    power_cdbm: int = 3000
    session: int = AUTO
    population: int = 0
    """Tags expected in view of an antenna; 0 = as the mode has it."""
    rf_mode: int = AUTO
    keepalive_ms: int = 2000

    @property
    def scheme(self) -> Scheme:
        """The settings of the mode."""
        return SCHEMES[self.mode]


class RfMode(NamedTuple):
    """An entry of the reader's RF mode table."""

    id: int
    modulation: str
    rate_bps: int


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What matters of GET_READER_CAPABILITIES_RESPONSE; empty or 0 where a reader is silent."""

    antennas: int = 0
    impinj: bool = False
    specs_max: int = 0
    """AISpecs in a ROSpec; 0 = no limit."""
    warns_of_buffer: bool = False
    powers: tuple[tuple[int, int], ...] = ()
    """Index and hundredths of a dBm."""
    modes: tuple[RfMode, ...] = ()
    hop_table: int = 0
    """0: fixed frequencies."""


def capabilities(answer: Message) -> Capabilities:
    """The answer to GET_READER_CAPABILITIES. Never raises: a part that is missing is empty."""
    nothing = Element("nothing")
    general = answer.first("GeneralDeviceCapabilities") or nothing
    limits = answer.first("LLRPCapabilities") or nothing
    regulatory = answer.first("RegulatoryCapabilities") or nothing
    band = regulatory.first("UHFBandCapabilities") or nothing
    frequencies = band.first("FrequencyInformation") or nothing
    hop_table = frequencies.first("FrequencyHopTable") or nothing
    modes = (one for table in band.each("C1G2UHFRFModeTable") for one in table.parameters)
    return Capabilities(
        antennas=general.number("MaxNumberOfAntennaSupported"),
        impinj=general.number("DeviceManufacturerName") == IMPINJ,
        specs_max=limits.number("MaxNumSpecsPerROSpec"),
        warns_of_buffer=bool(limits.number("CanReportBufferFillWarning")),
        powers=tuple(
            (one.number("Index"), one.number("TransmitPowerValue"))
            for one in band.each("TransmitPowerLevelTableEntry")
        ),
        modes=tuple(
            RfMode(one.number("ModeIdentifier"), str(one.value("MValue")), one.number("BDRValue"))
            for one in modes
            if one.name == "C1G2UHFRFModeTableEntry" and one.number("ModeIdentifier") <= _INDEX_MAX
        ),
        hop_table=hop_table.number("HopTableID") if frequencies.number("Hopping") else 0,
    )


def power_index(wish: Wish, able: Capabilities) -> int | None:
    """The entry of the power table nearest to the power wished for, the weaker of two.

    None where the reader has no table. LLRP 1.0.1 section 9.2.4.1.1.
    """
    nearest = min(
        able.powers, default=None, key=lambda one: (abs(one[1] - wish.power_cdbm), one[1])
    )
    return nearest[0] if nearest else None


def rf_mode(wish: Wish, able: Capabilities) -> int | None:
    """The RF mode wished for, or the one ALGORITHMS.md section 3.5 wants; None = no table.

    Raises DeviceMisconfigured for a mode that the reader does not have.
    """
    ids = [mode.id for mode in able.modes]
    if wish.rf_mode != AUTO:
        if ids and wish.rf_mode not in ids:
            known = ", ".join(map(str, ids))
            raise DeviceMisconfigured(f"rf_mode = {wish.rf_mode}: this reader has {known}")
        return wish.rf_mode
    if able.impinj and wish.scheme.search == _SINGLE_TARGET:
        for automatic in _IMPINJ_AUTOSET:
            if automatic in ids:
                return automatic
    order = wish.scheme.modulations
    ranked = [
        (order.index(mode.modulation), -mode.rate_bps, mode.id)
        for mode in able.modes
        if mode.modulation in order
    ]
    return min(ranked)[2] if ranked else None


def antennas(wish: Wish, able: Capabilities) -> tuple[int, ...]:
    """The antennas to use. Raises DeviceMisconfigured for one that the reader does not have."""
    if not wish.antennas:
        known = able.antennas if able.antennas <= _ANTENNAS_MAX else 0
        return tuple(range(1, known + 1)) or (0,)  # 0: all there are
    too_high = max(wish.antennas)
    if able.antennas and too_high > able.antennas:
        raise DeviceMisconfigured(f"antenna {too_high}: this reader has {able.antennas}")
    return wish.antennas


def rospec(wish: Wish, able: Capabilities, *, extended: bool) -> Element:
    """The ROSpec of a mode; with Impinj's parameters where `extended`.

    Raises DeviceMisconfigured for what the reader does not have.
    """
    scheme = wish.scheme
    wanted = antennas(wish, able)
    apart = scheme.each_antenna and (not able.specs_max or len(wanted) <= able.specs_max)
    visits = [(one,) for one in wanted] if apart else [wanted]
    share_ms = scheme.visit_ms * (len(wanted) if scheme.each_antenna and not apart else 1)
    inventory = _inventory(wish, able, extended=extended)
    repeated = scheme.pass_ms == 0
    boundary = element(
        "ROBoundarySpec",
        element(
            "ROSpecStartTrigger",
            ROSpecStartTriggerType="Immediate" if repeated else "Null",
        ),
        element(
            "ROSpecStopTrigger",
            ROSpecStopTriggerType="Null" if repeated else "Duration",
            DurationTriggerValue=scheme.pass_ms,
        ),
    )
    specs = [
        element(
            "AISpec",
            element(
                "AISpecStopTrigger", AISpecStopTriggerType="Duration", DurationTrigger=share_ms
            ),
            element(
                "InventoryParameterSpec",
                *(
                    element("AntennaConfiguration", *inventory, AntennaID=antenna)
                    for antenna in visit
                ),
                InventoryParameterSpecID=number,
                ProtocolID="EPCGlobalClass1Gen2",
            ),
            AntennaIDs=visit,
        )
        for number, visit in enumerate(visits, 1)
    ]
    report = _report_spec(scheme, extended=extended)
    ids: dict[str, Value] = {"ROSpecID": ROSPEC_ID, "Priority": 0, "CurrentState": "Disabled"}
    return element("ROSpec", boundary, *specs, report, **ids)


def _inventory(wish: Wish, able: Capabilities, *, extended: bool) -> list[Element]:
    """What is done at an antenna: power, RF mode, session, population."""
    scheme = wish.scheme
    found = []
    power, mode = power_index(wish, able), rf_mode(wish, able)
    if power is not None:
        found.append(
            element(
                "RFTransmitter",
                HopTableID=able.hop_table,
                ChannelIndex=0 if able.hop_table else 1,
                TransmitPower=power,
            )
        )
    command = []
    if mode is not None:
        command.append(element("C1G2RFControl", ModeIndex=mode, Tari=0))
    command.append(
        element(
            "C1G2SingulationControl",
            Session=scheme.session if wish.session == AUTO else wish.session,
            TagPopulation=wish.population or scheme.population,
            TagTransitTime=scheme.transit_ms,
        )
    )
    if extended:
        command.append(_custom(_IMPINJ_SEARCH_MODE, scheme.search.to_bytes(2)))
    found.append(element("C1G2InventoryCommand", *command, TagInventoryStateAware=0))
    return found


def _report_spec(scheme: Scheme, *, extended: bool) -> Element:
    content = element(
        "TagReportContentSelector",
        EnableROSpecID=0,
        EnableSpecIndex=1,
        EnableInventoryParameterSpecID=0,
        EnableAntennaID=1,
        EnableChannelIndex=0,
        EnablePeakRSSI=1,
        EnableFirstSeenTimestamp=1,
        EnableLastSeenTimestamp=1,
        EnableTagSeenCount=1,
        EnableAccessSpecID=0,
    )
    custom = []
    if extended:
        exact = _custom(_IMPINJ_ENABLE_PEAK_RSSI, (1).to_bytes(2))
        custom = [_custom(_IMPINJ_CONTENT, parameter_bytes(exact))]
    trigger = "Upon_N_Tags_Or_End_Of_AISpec"
    return element("ROReportSpec", content, *custom, ROReportTrigger=trigger, N=scheme.every_n)


def _custom(subtype: int, data: bytes) -> Element:
    return element("Custom", VendorIdentifier=IMPINJ, ParameterSubtype=subtype, Data=data)


def reader_config(wish: Wish, able: Capabilities) -> Message:
    """SET_READER_CONFIG: the events we hear, and the keepalive."""
    events = {**_EVENTS, "Report_Buffer_Fill_Warning": int(able.warns_of_buffer)}
    return Message(
        "SET_READER_CONFIG",
        (("ResetToFactoryDefault", 0),),
        (
            element(
                "ReaderEventNotificationSpec",
                *(
                    element("EventNotificationState", EventType=name, NotificationState=state)
                    for name, state in events.items()
                ),
            ),
            element(
                "KeepaliveSpec",
                KeepaliveTriggerType="Periodic",
                PeriodicTriggerValue=wish.keepalive_ms,
            ),
        ),
    )
