"""What a reader is told, read back by an independent codec and held against the definition."""

from __future__ import annotations

import os
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from llrp_reader import capabilities as packed
from llrp_reader import message
from llrpkit.protocol import decode_message

from drivers import _llrp, _llrp_rospec
from drivers._llrp import Element, Message
from drivers._llrp_rospec import SCHEMES, Capabilities, RfMode, Wish
from drivers.base import DeviceMisconfigured

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("STOCKD_DATA") or ROOT.parent / "shared" / "data")
DEFINITION = DATA / "llrp-ltk" / "llrp-1x0-def.xml"


def able(**wishes: Any) -> Capabilities:
    return _llrp_rospec.capabilities(_llrp.decode(message(11, packed(**wishes))))


def told(wish: Wish, *, extended: bool = False, **wishes: Any) -> Any:
    """The ROSpec as llrpkit reads it."""
    spec = _llrp_rospec.rospec(wish, able(**wishes), extended=extended)
    return decode_message(_llrp.encode(Message("ADD_ROSPEC", (), (spec,)))).ro_spec  # type: ignore[attr-defined]


def test_capabilities_are_read() -> None:
    assert able(hopping=False) == Capabilities(
        antennas=4,
        specs_max=32,
        warns_of_buffer=True,
        powers=((1, 1000), (2, 2000), (3, 2750), (4, 3000), (5, 3150)),
        modes=(
            RfMode(0, "MV_FM0", 640_000),
            RfMode(1, "MV_2", 640_000),
            RfMode(2, "MV_4", 274_000),
        ),
    )
    assert able(maker=25882).impinj
    assert able().hop_table == 3
    assert _llrp_rospec.capabilities(Message("GET_READER_CAPABILITIES_RESPONSE")) == Capabilities()


def test_a_shelf_is_visited_antenna_by_antenna() -> None:
    """ALGORITHMS.md section 3.5, column "Shelf, zone"."""
    spec = told(Wish())
    boundary = spec.ro_boundary_spec
    assert boundary.ro_spec_start_trigger.ro_spec_start_trigger_type.name == "Immediate"
    assert boundary.ro_spec_stop_trigger.ro_spec_stop_trigger_type.name == "Null"
    assert [one.antenna_ids for one in spec.spec_parameters] == [[1], [2], [3], [4]]
    for number, visit in enumerate(spec.spec_parameters, 1):
        stop = visit.ai_spec_stop_trigger
        assert (stop.ai_spec_stop_trigger_type.name, stop.duration_trigger) == ("Duration", 250)
        (inventory,) = visit.inventory_parameter_specs
        (antenna,) = inventory.antenna_configurations
        assert (antenna.antenna_id, inventory.protocol_id.name) == (number, "EPCGlobalClass1Gen2")
        transmitter = antenna.rf_transmitter
        assert (transmitter.hop_table_id, transmitter.channel_index) == (3, 0)
        assert transmitter.transmit_power == 4
        (command,) = antenna.air_protocol_inventory_command_settings
        assert command.c1_g2_rf_control.mode_index == 1
        singulation = command.c1_g2_singulation_control
        assert (singulation.session, singulation.tag_population) == (0, 500)
        assert singulation.tag_transit_time == 500
        assert command.custom == []
    report = spec.ro_report_spec
    assert (report.ro_report_trigger.name, report.n) == ("Upon_N_Tags_Or_End_Of_AISpec", 0)
    content = report.tag_report_content_selector
    assert [name for name, value in vars(content).items() if value is True] == [
        "enable_spec_index",
        "enable_antenna_id",
        "enable_peak_rssi",
        "enable_first_seen_timestamp",
        "enable_last_seen_timestamp",
        "enable_tag_seen_count",
    ]


def test_a_till_hears_all_antennas_at_once_and_reports_each_tag() -> None:
    spec = told(Wish(mode="till", antennas=(2, 4), population=12))
    (visit,) = spec.spec_parameters
    assert visit.antenna_ids == [2, 4]
    assert visit.ai_spec_stop_trigger.duration_trigger == 250
    (inventory,) = visit.inventory_parameter_specs
    assert [one.antenna_id for one in inventory.antenna_configurations] == [2, 4]
    (command,) = inventory.antenna_configurations[0].air_protocol_inventory_command_settings
    assert command.c1_g2_singulation_control.tag_population == 12
    assert spec.ro_report_spec.n == 1


def test_a_stock_take_is_a_pass_of_ten_seconds_in_s2() -> None:
    spec = told(Wish(mode="stocktake"), extended=True)
    boundary = spec.ro_boundary_spec
    assert boundary.ro_spec_start_trigger.ro_spec_start_trigger_type.name == "Null"
    stop = boundary.ro_spec_stop_trigger
    assert (stop.ro_spec_stop_trigger_type.name, stop.duration_trigger_value) == (
        "Duration",
        10_000,
    )
    (visit,) = spec.spec_parameters
    assert visit.antenna_ids == [1, 2, 3, 4]
    (command,) = (
        visit.inventory_parameter_specs[0]
        .antenna_configurations[0]
        .air_protocol_inventory_command_settings
    )
    assert command.c1_g2_singulation_control.session == 2
    assert command.c1_g2_singulation_control.tag_transit_time == 10_000
    assert command.custom[0].inventory_search_mode.name == "Single_Target"


def test_impinjs_parameters_are_those_of_impinj() -> None:
    spec = told(Wish(), extended=True)
    antenna = spec.spec_parameters[0].inventory_parameter_specs[0].antenna_configurations[0]
    (command,) = antenna.air_protocol_inventory_command_settings
    assert command.custom[0].inventory_search_mode.name == "Dual_Target"
    (selector,) = spec.ro_report_spec.custom
    assert selector.impinj_enable_peak_rssi.peak_rssi_mode.name == "Enabled"


def test_the_reader_is_configured_to_tell() -> None:
    config: Any = decode_message(_llrp.encode(_llrp_rospec.reader_config(Wish(), able())))
    assert not config.reset_to_factory_default
    keepalive = config.keepalive_spec
    assert keepalive.keepalive_trigger_type.name == "Periodic"
    assert keepalive.periodic_trigger_value == 2000
    events = config.reader_event_notification_spec.event_notification_states
    assert {one.event_type.name for one in events if one.notification_state} == {
        "ROSpec_Event",
        "Report_Buffer_Fill_Warning",
        "Reader_Exception_Event",
        "AISpec_Event",
        "Antenna_Event",
    }
    assert len(events) == 9


@pytest.mark.parametrize(
    ("cdbm", "index"),
    [(0, 1), (1499, 1), (1500, 1), (1501, 2), (2750, 3), (3000, 4), (3075, 4), (3600, 5)],
)
def test_the_nearest_power_is_taken_and_the_weaker_of_two(cdbm: int, index: int) -> None:
    assert _llrp_rospec.power_index(Wish(power_cdbm=cdbm), able()) == index


@pytest.mark.parametrize(
    ("mode", "table", "maker", "chosen"),
    [
        ("shelf", ((0, 0, 640_000), (1, 1, 640_000), (2, 2, 274_000), (3, 3, 170_600)), 161, 1),
        ("shelf", ((5, 1, 320_000), (7, 1, 640_000), (6, 1, 128_000)), 161, 7),
        ("till", ((0, 0, 640_000), (2, 2, 274_000)), 161, 2),
        ("till", ((3, 3, 170_600), (0, 0, 640_000)), 161, 0),
        ("stocktake", ((1, 1, 640_000), (2, 2, 274_000), (3, 3, 170_600)), 161, 3),
        ("stocktake", ((2, 2, 274_000), (1000, 2, 40_000), (1002, 2, 40_000)), 25882, 1002),
        ("stocktake", ((2, 2, 274_000), (1002, 2, 40_000)), 161, 2),
        ("shelf", (), 161, None),
    ],
)
def test_the_rf_mode_is_chosen_from_the_table(
    mode: str, table: tuple[tuple[int, int, int], ...], maker: int, chosen: int | None
) -> None:
    assert _llrp_rospec.rf_mode(Wish(mode=mode), able(modes=table, maker=maker)) == chosen


def test_an_rf_mode_by_number_must_be_there() -> None:
    assert _llrp_rospec.rf_mode(Wish(rf_mode=2), able()) == 2
    assert _llrp_rospec.rf_mode(Wish(rf_mode=9), able(modes=())) == 9
    with pytest.raises(DeviceMisconfigured, match=r"rf_mode = 9: this reader has 0, 1, 2"):
        _llrp_rospec.rf_mode(Wish(rf_mode=9), able())


def test_a_reader_of_few_specs_visits_all_antennas_in_one() -> None:
    spec = told(Wish(), specs_max=2)
    (visit,) = spec.spec_parameters
    assert visit.antenna_ids == [1, 2, 3, 4]
    assert visit.ai_spec_stop_trigger.duration_trigger == 1000


def test_a_silent_reader_is_told_less() -> None:
    """No power table, no modes, no antennas: its own settings stay, and 0 is every antenna."""
    spec = _llrp_rospec.rospec(Wish(), Capabilities(), extended=False)
    read: Any = decode_message(_llrp.encode(Message("ADD_ROSPEC", (), (spec,))))
    (visit,) = read.ro_spec.spec_parameters
    assert visit.antenna_ids == [0]
    (antenna,) = visit.inventory_parameter_specs[0].antenna_configurations
    assert antenna.rf_transmitter is None
    (command,) = antenna.air_protocol_inventory_command_settings
    assert command.c1_g2_rf_control is None


def test_a_reader_that_claims_too_much_is_taken_at_less() -> None:
    (visit,) = told(Wish(), antennas=65_535).spec_parameters
    assert visit.antenna_ids == [0]
    assert _llrp_rospec.rf_mode(Wish(), able(modes=((1 << 16, 1, 1), (9, 2, 1)))) == 9


def test_a_fixed_frequency_reader_gets_its_first_channel() -> None:
    antenna = (
        told(Wish(), hopping=False)
        .spec_parameters[0]
        .inventory_parameter_specs[0]
        .antenna_configurations[0]
    )
    assert (antenna.rf_transmitter.hop_table_id, antenna.rf_transmitter.channel_index) == (0, 1)


# --- the order and number of parameters, by the definition ------------------------------------


def violations(element: Element, kind: str, nodes: dict[tuple[str, str], ET.Element]) -> list[str]:
    """Parameters that the definition does not allow here, or that it misses."""
    rest = list(element.parameters)
    found = []
    for child in nodes[kind, element.name]:
        what = child.tag.rpartition("}")[2]
        if what not in ("parameter", "choice"):
            continue
        wanted = {child.get("type", "")}
        if what == "choice":
            choice = nodes["choiceDefinition", child.get("type", "")]
            wanted = {one.get("type", "") for one in choice}
        count = 0
        while rest and rest[0].name in wanted:
            found += violations(rest.pop(0), "parameterDefinition", nodes)
            count += 1
        least, _, most = child.get("repeat", "").partition("-")
        if count < int(least) or (most != "N" and count > int(most or least)):
            found.append(f"{element.name}: {count} times {wanted}, not {child.get('repeat')}")
    return found + [f"{element.name}: {one.name} has no place" for one in rest]


@pytest.mark.parametrize("extended", [False, True])
@pytest.mark.parametrize("mode", SCHEMES)
def test_what_is_sent_obeys_the_definition(mode: str, extended: bool) -> None:
    if not DEFINITION.exists():
        pytest.skip(f"no definition: {DEFINITION} is not there (STOCKD_DATA names another folder)")
    root = ET.parse(DEFINITION).getroot()
    nodes = {(node.tag.rpartition("}")[2], node.get("name", "")): node for node in root}
    spec = _llrp_rospec.rospec(Wish(mode=mode), able(), extended=extended)
    for sent in (
        Message("ADD_ROSPEC", (), (spec,)),
        _llrp_rospec.reader_config(Wish(mode=mode), able()),
    ):
        assert violations(sent, "messageDefinition", nodes) == []
    assert violations(Message("ADD_ROSPEC", (), (spec, spec)), "messageDefinition", nodes)
