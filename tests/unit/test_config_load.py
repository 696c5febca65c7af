"""Loading: what comes out of a sound configuration, and that nothing but ConfigError comes else."""

import hashlib
import json
import tomllib
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.config import FILE_BYTES_MAX, load
from gateway.config_rules import split_address
from gateway.config_types import typed
from gateway.demo_files import DEMO_URL, demo_text, write_demo
from gateway.domain.settings import Settings
from gateway.endpoint import is_loopback
from gateway.problems import ConfigError

SHOP = """\
[store]
id = "s0001"
[[location]]
id = "a1"
kind = "shelf"
"""
PRODUCTS = "gtin,name\n6901234500011,Cat food\n"
PLANOGRAM = "location,gtin\na1,6901234500011\n"


def shop(folder: Path, store: str = SHOP) -> Path:
    (folder / "store.toml").write_text(store, "utf-8")
    (folder / "products.csv").write_text(PRODUCTS, "utf-8")
    (folder / "planogram.csv").write_text(PLANOGRAM, "utf-8")
    return folder / "store.toml"


def problems(path: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(path)
    return [str(problem) for problem in caught.value.problems]


def test_a_sound_shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    loaded = load(shop(tmp_path).name)
    assert loaded.path == tmp_path / "store.toml"
    assert loaded.settings.journal.path == str(tmp_path / "var" / "stockd.db")
    assert loaded.settings.catalogue.products == str(tmp_path / "products.csv")
    assert loaded.settings.ledger_link.ca_file == ""
    assert loaded.settings.ledger_link.url == ("mqtt://127.0.0.1:1883",)
    assert loaded.store.id == "s0001"
    assert loaded.store.homes("06901234500011") == ("a1",)


def test_an_absolute_path_stays(tmp_path: Path) -> None:
    loaded = load(shop(tmp_path, '[journal]\npath = "/srv/stock.db"\n' + SHOP))
    assert loaded.settings.journal.path == "/srv/stock.db"


def test_the_hash_is_over_the_three_files(tmp_path: Path) -> None:
    path = shop(tmp_path)
    digest = hashlib.sha256()
    for name in ("store.toml", "products.csv", "planogram.csv"):
        data = (tmp_path / name).read_bytes()
        digest.update(len(data).to_bytes(8, "big") + data)
    first = load(path).sha256
    assert first == digest.hexdigest()
    (tmp_path / "planogram.csv").write_text(f"{PLANOGRAM}\n", "utf-8")
    assert load(path).sha256 != first


@pytest.mark.parametrize(
    ("url", "brokers"),
    [('""', ()), ("[]", ()), ('"mqtt://[::1]"', ("mqtt://[::1]",)), ('["mqtt://LOCALHOST:1"]', 1)],
)
def test_broker_urls(tmp_path: Path, url: str, brokers: object) -> None:
    link = load(shop(tmp_path, f"{SHOP}[ledger_link]\nurl = {url}\n")).settings.ledger_link
    assert brokers in (link.url, len(link.url))


def test_plaintext_must_be_allowed(tmp_path: Path) -> None:
    remote = f'{SHOP}[ledger_link]\nurl = "mqtt://192.168.1.2:1883"\n'
    assert "unencrypted" in problems(shop(tmp_path, remote))[0]
    assert load(shop(tmp_path, f"{remote}allow_plaintext = true\n"))


def test_tls_needs_its_three_files(tmp_path: Path) -> None:
    tls = f'{SHOP}[ledger_link]\nurl = "mqtts://b.example"\n'
    names = ("ca_file", "cert_file", "key_file")
    assert len(problems(shop(tmp_path, tls))) == 3
    path = shop(tmp_path, tls + "".join(f'{name} = "{name}.pem"\n' for name in names))
    for name in names:
        (tmp_path / f"{name}.pem").touch()
    assert load(path).settings.ledger_link.key_file == str(tmp_path / "key_file.pem")


@pytest.mark.parametrize("url", ["mqtt://", "mqtt://:1883", "mqtt://h:0", "mqtts://h/x", "h:1883"])
def test_what_is_no_broker(tmp_path: Path, url: str) -> None:
    said = problems(shop(tmp_path, f'{SHOP}[ledger_link]\nurl = "{url}"\n'))
    assert any("is no broker" in line for line in said)


def test_a_password_is_not_shown(tmp_path: Path) -> None:
    said = problems(shop(tmp_path, f'{SHOP}[ledger_link]\nurl = "mqtt://u:hush@127.0.0.1"\n'))
    assert len(said) == 1
    assert "hush" not in said[0]


def test_files_that_are_none(tmp_path: Path) -> None:
    assert "no such file" in problems(tmp_path / "store.toml")[0]
    assert "is a folder" in problems(tmp_path)[0]
    assert "device or pipe" in problems(Path("/dev/null"))[0]
    path = shop(tmp_path)
    (tmp_path / "products.csv").unlink()
    (tmp_path / "products.csv").mkdir()
    assert "catalogue.products: is a folder" in problems(path)[0]
    with path.open("r+b") as stream:
        stream.truncate(FILE_BYTES_MAX + 1)
    assert "larger than 16 MiB" in problems(path)[0]


def test_names_that_no_disk_holds(tmp_path: Path) -> None:
    name = "x" * 300
    assert "cannot be read" in problems(tmp_path / name)[0]
    store = f"""{SHOP}[ledger_link]
key_file = "{name}"
[catalogue]
products = "{name}"
"""
    said = problems(shop(tmp_path, store))
    assert [line.split(": ")[1] for line in said] == ["ledger_link.key_file", "catalogue.products"]


def test_two_listeners_on_one_port(tmp_path: Path) -> None:
    both = SHOP + '[console]\nlisten = "{0}"\n[metrics]\nlisten = "{0}"\n'
    said = problems(shop(tmp_path, both.format("127.0.0.1:80")))
    assert "metrics.listen: is the address of the console too" in said[0]
    assert load(shop(tmp_path, both.format("127.0.0.1:0")))
    assert load(shop(tmp_path, both.format("")))


def test_an_empty_path_is_no_file(tmp_path: Path) -> None:
    empty = f'{SHOP}[journal]\npath = ""\n[catalogue]\nproducts = ""\n'
    said = problems(shop(tmp_path, empty))
    assert [line.split(": ")[1] for line in said] == ["journal.path", "catalogue.products"]


@pytest.mark.parametrize("zone", ["", "Asia", "../etc/passwd", "/etc/passwd", "Mars/Olympus"])
def test_what_is_no_time_zone(tmp_path: Path, zone: str) -> None:
    said = problems(shop(tmp_path, SHOP.replace('"s0001"', f'"s0001"\ntimezone = "{zone}"')))
    assert "unknown time zone" in said[0]


@pytest.mark.parametrize("number", ["0x" + "f" * 5000, str(2**63), str(-(2**64)), "inf", "nan"])
def test_a_number_far_too_large(tmp_path: Path, number: str) -> None:
    said = problems(shop(tmp_path, f"{SHOP}[journal]\nmax_mb = {number}\n"))
    assert len(said) == 1
    assert "journal.max_mb: must be a whole number, not " in said[0]
    device = f"""{SHOP}[[device]]
id = "d"
driver = "scale_sics"
link = "tcp://h:1"
location = "a1"
"""
    assert "device[1].rate_hz: unknown key (what its driver reads belongs in" in "".join(
        problems(shop(tmp_path, f"{device}rate_hz = 20\n"))
    )
    said = problems(shop(tmp_path, f"{device}options.rate_hz = {number}\n"))
    assert "device[1].options.rate_hz: must be a text, a whole number" in "".join(said)


def test_a_problem_is_one_line(tmp_path: Path) -> None:
    said = problems(shop(tmp_path, f'{SHOP}"two\\nlines" = 1\n'))
    assert said == [f"{tmp_path}/store.toml:6: location[1].two�lines: unknown key"]


def test_a_problem_as_json(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(shop(tmp_path, SHOP.replace("kind", "kin")))
    first, second = json.loads(msgspec.json.encode(caught.value.problems))
    assert first == {
        "file": str(tmp_path / "store.toml"),
        "line": 3,
        "row": None,
        "key": "location[1].kind",
        "message": "is missing",
        "remedy": 'one of "backroom", "exit", "receiving", "shelf", "till"',
    }
    assert second["remedy"] == 'did you mean "kind"?'


def test_loopback() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.9.9.9", "::1", "localhost", "LocalHost.")))
    assert not any(map(is_loopback, ("127.0.0.1.example", "10.0.0.1", "::2", "", "localhost2")))


def test_addresses() -> None:
    assert split_address("[::1]:0") == ("::1", 0)
    assert split_address("[box]:80") == (None, 80)
    assert split_address(":80") == (None, 80)
    assert split_address("box:65536") == ("box", None)
    assert split_address("8470") == (None, 8470)


NAMES = st.sampled_from(
    (
        *("store", "id", "location", "kind", "bay", "position", "device", "driver", "link"),
        *("options", "ledger_link", "url", "journal", "path", "max_mb", "fusion", "quantity_s"),
        *("x", '"two\\nlines"'),
    )
)
SCALARS = st.one_of(
    st.integers(),
    st.booleans(),
    st.floats(allow_nan=False),
    st.sampled_from(["", "a1", "shelf", "scale_sics", "tcp://h:1", "mqtt://h", "\x00", "[::1]:1"]),
    st.text(max_size=5),
)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(NAMES, TREES, max_size=5))
@settings(max_examples=300, deadline=None)
def test_any_tree_becomes_settings(tree: dict[str, object]) -> None:
    made, faults = typed(tree)
    assert isinstance(made, Settings)
    # what was judged sound is what msgspec itself would accept of the model
    assert msgspec.convert(msgspec.to_builtins(made), Settings) == made
    assert faults or "id" in str(tree)


def as_toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {as_toml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(as_toml, value)) + "]"
    return json.dumps(value).replace("\x7f", "\\u007f")


@given(st.dictionaries(NAMES, TREES, max_size=6))
@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_toml_loads_or_is_explained(tmp_path: Path, tree: dict[str, object]) -> None:
    text = "".join(f"{key} = {as_toml(value)}\n" for key, value in tree.items())
    try:
        tomllib.loads(text)
        loaded = load(shop(tmp_path, text))
    except ConfigError as error:
        assert error.problems
        assert all(str(problem).count("\n") == 0 for problem in error.problems)
    except tomllib.TOMLDecodeError:
        return
    else:
        assert loaded.store.id


@given(st.binary(max_size=80))
@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_bytes_load_or_are_explained(tmp_path: Path, data: bytes) -> None:
    path = shop(tmp_path)
    path.write_bytes(data)
    with pytest.raises(ConfigError):
        load(path)


def test_the_demo(tmp_path: Path) -> None:
    url = "mqtt://127.0.0.1:40001"
    loaded = load(write_demo(tmp_path, url, console="127.0.0.1:0", metrics=""))
    conf, store = loaded.settings, loaded.store
    assert conf.ledger_link.url == (url,)
    assert (conf.console.listen, conf.metrics.listen) == ("127.0.0.1:0", "")
    assert conf.journal.path == str(tmp_path / "stockd.db")
    assert len(store.products) == len(store.planogram) == 10
    plates = [place for place in store.locations if place.bay]
    assert [place.id for place in plates] == [f"{bay}{n}" for bay in "ab" for n in range(1, 5)]
    for place in plates:
        facings = [one for one in store.planogram if one.location == place.id]
        assert len(facings) == 1
        assert facings[0].capacity_milli == facings[0].facings * facings[0].depth * 1000
    for device in conf.device:
        ports, _, name = device.link.partition("?")[0].rpartition("/")
        assert (ports.partition("://")[2], name) == (f"{tmp_path}/ports", device.id)


def test_plates_side_by_side_hold_clearly_different_masses(tmp_path: Path) -> None:
    store = load(write_demo(tmp_path)).store
    masses = {g: p.unit_mass_mg or 0 for g, p in store.product_by_gtin().items()}
    plates = [place for place in store.locations if place.bay]
    for left, right in pairwise(plates):
        one, other = (masses[f.gtin] for f in store.planogram if f.location in (left.id, right.id))
        assert max(one, other) * 10 >= min(one, other) * 13


@pytest.mark.parametrize("folder", ["relative", '/tmp/a"b', "/tmp/a?b", "/tmp/a\nb"])
def test_a_folder_that_no_link_can_say(folder: str) -> None:
    with pytest.raises(ValueError, match="absolute folder"):
        demo_text(f'url = "{DEMO_URL}"', Path(folder))
