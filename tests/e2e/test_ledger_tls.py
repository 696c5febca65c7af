"""`mqtts://` with mutual authentication against Mosquitto: who is let in and who is not (S5)."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

needs_mosquitto = pytest.mark.skipif(
    not (shutil.which("mosquitto", path="/usr/sbin:/usr/bin") and shutil.which("openssl")),
    reason="needs mosquitto and openssl",
)
DEADLINE_S = 20.0


def openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def authority(folder: Path, name: str) -> None:
    new = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    files = ("-keyout", f"{name}.key", "-out", f"{name}.pem", "-days", "2", "-subj", f"/CN={name}")
    openssl(folder, *new, *files)


def leaf(folder: Path, name: str, by: str, host: str) -> None:
    new = ("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl(folder, *new, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
    (folder / f"{name}.ext").write_text(f"subjectAltName={host}\n", encoding="utf-8")
    signer = ("-CA", f"{by}.pem", "-CAkey", f"{by}.key", "-CAcreateserial", "-days", "2")
    files = ("-in", f"{name}.csr", "-out", f"{name}.pem", "-extfile", f"{name}.ext")
    openssl(folder, "x509", "-req", *files, *signer)
    (folder / f"{name}.key").chmod(0o644)  # the broker may give up root before it reads it


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    authority(folder, "ca")
    authority(folder, "stranger")
    leaf(folder, "broker", "ca", "IP:127.0.0.1")
    leaf(folder, "elsewhere", "ca", "DNS:elsewhere.example")
    leaf(folder, "hq", "ca", "DNS:hq")
    leaf(folder, "thief", "stranger", "DNS:hq")
    for parent in (folder, *folder.parents[:2]):
        parent.chmod(0o755)
    return folder


def broker_at(keys: Path, name: str) -> tuple[subprocess.Popen[bytes], int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    config = keys / f"{name}.conf"
    config.write_text(
        f"listener {port} 127.0.0.1\ncafile {keys}/ca.pem\ncertfile {keys}/{name}.pem\n"
        f"keyfile {keys}/{name}.key\nrequire_certificate true\nuse_identity_as_username true\n",
        encoding="utf-8",
    )
    binary = shutil.which("mosquitto", path="/usr/sbin:/usr/bin")
    assert binary is not None
    child = subprocess.Popen([binary, "-c", str(config)], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1.0).close()
        except OSError:
            time.sleep(0.01)
        else:
            return child, port
    raise AssertionError("mosquitto does not answer")


@pytest.fixture
def broker(keys: Path, request: pytest.FixtureRequest) -> Iterator[int]:
    child, port = broker_at(keys, request.param)
    yield port
    child.terminate()
    child.wait(DEADLINE_S)


def first_words(keys: Path, port: int, ca: str, identity: str, db: Path) -> str:
    """The first line of the ledger, whether a success or a complaint."""
    child = subprocess.Popen(
        [
            *(sys.executable, "-u", "-m", "ledger.cli", "run"),
            *("--mqtt", f"mqtts://127.0.0.1:{port}", "--db", f"sqlite:///{db}"),
            *("--ca-file", str(keys / f"{ca}.pem")),
            *("--cert-file", str(keys / f"{identity}.pem")),
            *("--key-file", str(keys / f"{identity}.key")),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert child.stdout is not None
    line = child.stdout.readline()
    child.terminate()
    assert child.wait(DEADLINE_S) == 0
    child.stdout.close()
    return line


@needs_mosquitto
@pytest.mark.parametrize(
    ("broker", "ca", "identity", "said"),
    [
        ("broker", "ca", "hq", "connected to mqtts://"),
        ("broker", "stranger", "hq", "certificate verify failed"),
        ("elsewhere", "ca", "hq", "certificate verify failed"),
        ("broker", "ca", "thief", "again in"),
    ],
    indirect=["broker"],
    ids=["right", "wrong authority", "wrong host", "wrong client"],
)
def test_both_sides_are_verified(
    broker: int, ca: str, identity: str, said: str, keys: Path, tmp_path: Path
) -> None:
    assert said in first_words(keys, broker, ca, identity, tmp_path / "ledger.db")
