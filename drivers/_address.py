"""Link URLs: what one means, or what is wrong with it. Pure; nothing is opened here.

Here: the part of `link` that a check of the configuration needs. Next: `link`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from drivers.base import DeviceMisconfigured

BAUDS: Final = (
    *(300, 600, 1200, 2400, 4800, 9600, 19_200, 38_400, 57_600, 115_200),
    *(230_400, 460_800, 500_000, 921_600, 1_000_000),
)
_CHOICES: Final = {
    "baud": tuple(map(str, BAUDS)),
    "bytesize": ("5", "6", "7", "8"),
    "parity": ("N", "E", "O", "M", "S"),
    "stopbits": ("1", "1.5", "2"),
}
_EXAMPLES: Final = {
    "serial": "serial:///dev/ttyUSB0?baud=9600",
    "tcp": "tcp://10.0.0.7:4001",
    "evdev": "evdev:///dev/input/by-id/usb-scanner-event-kbd",
    "mqtt": "mqtt://127.0.0.1:1883/readers/door/#",
}
SCHEMES: Final = tuple(_EXAMPLES)
_TOPIC_FILTER: Final = re.compile(r"(?:(?:\+|[^+#\0/]*)/)*(?:\+|#|[^+#\0/]+)")
"""MQTT 5.0 section 4.7: + stands for one level, # for all that follow."""


@dataclass(frozen=True, slots=True)
class LinkAddress:
    """A link URL, understood. The serial settings mean nothing for other schemes."""

    scheme: str
    path: str = ""
    """Of a file; of mqtt the topic filter."""
    host: str = ""
    port: int = 0
    baud: int = 9600
    bytesize: int = 8
    parity: str = "N"
    stopbits: str = "1"

    @property
    def target(self) -> str:
        """What is opened; two devices with the same one would steal each other's bytes."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        if self.scheme == "mqtt":
            return f"{host}:{self.port}/{self.path}"
        return self.path or f"{host}:{self.port}"


def parse_link(url: str) -> LinkAddress:
    """A link URL to its address; opens nothing. Raises DeviceMisconfigured with a remedy.

    >>> parse_link("tcp://scale-1:4001").target, parse_link("serial:///dev/ttyS0?parity=E").parity
    ('scale-1:4001', 'E')
    """
    scheme, separator, _ = url.partition("://")
    if not separator or scheme not in SCHEMES:
        known = ", ".join(f"{name}://" for name in SCHEMES)
        raise DeviceMisconfigured(f"{url!r}: the link begins with one of {known}")
    example = f"write it like {_EXAMPLES[scheme]}"
    try:
        # in a topic filter # is a word of its own, not the beginning of a fragment
        parts = urlsplit(url.replace("#", "%23") if scheme == "mqtt" else url)
        port = parts.port
        query = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError as error:
        raise DeviceMisconfigured(f"{url!r}: {error}; {example}") from None
    if parts.fragment or parts.username is not None:
        raise DeviceMisconfigured(f"{url!r}: a # or @ is written %23 or %40; {example}")
    if scheme == "tcp":
        if not parts.hostname or not port or parts.path.strip("/") or query:
            raise DeviceMisconfigured(f"{url!r}: a host and a port, nothing else; {example}")
        return LinkAddress("tcp", host=parts.hostname, port=port)
    path = unquote(parts.path)
    if scheme == "mqtt":
        topic = path[1:]
        if not parts.hostname or query or not _TOPIC_FILTER.fullmatch(topic):
            raise DeviceMisconfigured(f"{url!r}: a host and a topic filter; {example}")
        return LinkAddress("mqtt", path=topic, host=parts.hostname, port=port or 1883)
    if parts.netloc or len(path) < 2 or "\0" in path:
        raise DeviceMisconfigured(f"{url!r}: three slashes and an absolute path; {example}")
    if scheme == "evdev":
        if query:
            raise DeviceMisconfigured(f"{url!r}: nothing to set after the path; {example}")
        return LinkAddress("evdev", path=path)
    return _serial_address(url, path, query)


def _serial_address(url: str, path: str, query: list[tuple[str, str]]) -> LinkAddress:
    problems = []
    for key, value in query:
        if key not in _CHOICES:
            like = get_close_matches(key, _CHOICES, n=1)
            remedy = f"did you mean {like[0]}?" if like else f"known: {', '.join(_CHOICES)}"
            problems.append(f"nobody reads {key}; {remedy}")
        elif value not in _CHOICES[key]:
            problems.append(f"{key}={value} is none of {', '.join(_CHOICES[key])}")
    if len({key for key, _ in query}) < len(query):
        problems.append("a setting is given twice")
    if problems:
        raise DeviceMisconfigured(f"{url!r}: {'; '.join(problems)}")
    said = dict(query)
    return LinkAddress(
        "serial",
        path=path,
        baud=int(said.get("baud", "9600")),
        bytesize=int(said.get("bytesize", "8")),
        parity=said.get("parity", "N"),
        stopbits=said.get("stopbits", "1"),
    )
