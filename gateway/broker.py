"""The embedded MQTT 5 broker, as a process: `python -m gateway.broker --port N`.

For `stockd demo` and the tests only; production brings its own broker. Here: the configuration of
rumqttd and its life as a process. Not here: topics, clients, security (it listens on loopback and
asks nobody who they are). It keeps everything in memory: killing it is losing it, which the link
must survive (WIRE.md section 20, D2). Unlike a full broker it answers PUBACK Success where 0x10
(no matching subscribers) would be due. Next: `gateway.uplink`, `ledger.link`.
"""

from __future__ import annotations

import argparse
import logging
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

HOST: Final = "127.0.0.1"
PAYLOAD_BYTES_MAX: Final = 1_048_576
READY_DEADLINE_S: Final = 10.0

_RUMQTTD: Final = """\
id = 0

[router]
id = 0
max_connections = 512
max_outgoing_packet_count = 1024
max_segment_size = {segment_bytes}
max_segment_count = 8

[v5.main]
name = "main"
listen = "{host}:{port}"
next_connection_delay_ms = 0

[v5.main.connections]
connection_timeout_ms = 10000
max_payload_size = {payload_bytes}
max_inflight_count = 200
dynamic_filters = true
"""


def configuration(port: int) -> str:
    """The broker's TOML for one MQTT 5 listener on loopback. Never raises."""
    return _RUMQTTD.format(
        host=HOST, port=port, payload_bytes=PAYLOAD_BYTES_MAX, segment_bytes=4 * PAYLOAD_BYTES_MAX
    )


def accepts(port: int) -> bool:
    """Whether somebody accepts connections on this port of loopback. Never raises."""
    try:
        with socket.create_connection((HOST, port), timeout=1.0):
            return True
    except OSError:
        return False


def run(port: int) -> int:
    """Run the broker until SIGTERM or SIGINT; an exit code of CONTRACT.md section 3.

    Prints `ready` when it accepts connections; complains on stderr when the port is taken.
    """
    from iotcore import IotCoreBroker

    logging.disable(logging.CRITICAL)  # rumqttd tells Python's logging about every packet
    ends = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    with tempfile.TemporaryDirectory(prefix="stockd-broker-") as folder:
        config = Path(folder) / "rumqttd.toml"
        config.write_text(configuration(port), encoding="utf-8")
        broker = IotCoreBroker(config_path=str(config))
        try:
            broker.check_ports()
        except OSError as error:
            sys.stderr.write(f"broker: {error}\n")
            return 3
        broker.start()
        deadline = time.monotonic() + READY_DEADLINE_S
        while not accepts(port):
            if time.monotonic() > deadline:
                sys.stderr.write(f"broker: {HOST}:{port} does not answer\n")
                return 3
            time.sleep(0.005)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    signal.sigwait(ends)
    return 0


def main(argv: list[str] | None = None) -> int:
    """Entry point; exits 2 for wrong usage."""
    parser = argparse.ArgumentParser(
        prog="python -m gateway.broker", description="embedded MQTT 5 broker on loopback"
    )
    parser.add_argument("--port", type=int, required=True, help="TCP port, 1 to 65535")
    port = parser.parse_args(argv).port
    if not 1 <= port <= 65535:
        parser.error(f"--port {port}: not 1 to 65535")
    return run(port)


if __name__ == "__main__":
    sys.exit(main())
