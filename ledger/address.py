"""Where the broker is, and whether one may go there (WIRE.md section 1).

Here: MQTT URLs, the rule of plain text, TLS 1.3 with mutual authentication. Not here: connecting
(`ledger.link`).
"""

from __future__ import annotations

import ipaddress
import ssl
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec

PORTS: Final = {"mqtt": 1883, "mqtts": 8883}


class AddressError(ValueError):
    """A broker URL or a certificate that cannot be used; says why and what to do."""


class Files(msgspec.Struct, frozen=True):
    """PEM files of `mqtts://`; None where none was named."""

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None


class Address(msgspec.Struct, frozen=True):
    """A broker."""

    host: str
    port: int
    tls: Files | None = None

    def __str__(self) -> str:
        return f"{'mqtts' if self.tls else 'mqtt'}://{self.host}:{self.port}"

    def tls_context(self) -> ssl.SSLContext | None:
        """A context that verifies name and CA; None for plain text. Raises AddressError."""
        if self.tls is None:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        try:
            context.load_verify_locations(cafile=self.tls.ca)
            if self.tls.cert is not None:
                context.load_cert_chain(self.tls.cert, self.tls.key)
        except (OSError, ssl.SSLError) as error:
            raise AddressError(f"certificate files of {self}: {error}") from None
        return context


def read_address(url: str, files: Files, allow_plaintext: bool) -> Address:
    """A broker from its URL. Raises AddressError.

    >>> str(read_address("mqtt://localhost", Files(), False))
    'mqtt://localhost:1883'
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise AddressError(f"{url!r}: {error}") from None
    host = parts.hostname
    if parts.scheme not in PORTS or not host or parts.path not in ("", "/") or port == 0:
        raise AddressError(f"{url!r} is no broker; use mqtt://HOST:PORT or mqtts://HOST:PORT")
    if parts.username is not None or parts.query or parts.fragment:
        raise AddressError(f"{url!r}: only HOST and PORT; identities are certificates")
    port = port or PORTS[parts.scheme]
    if parts.scheme == "mqtt":
        if not (is_loopback(host) or allow_plaintext):
            raise AddressError(f"{url!r}: plain text to {host}; use mqtts:// or --allow-plaintext")
        return Address(host, port)
    missing = [f"--{n}-file" for n in ("ca", "cert", "key") if getattr(files, n) is None]
    if missing:
        raise AddressError(f"{url!r} needs {', '.join(missing)}")
    return Address(host, port, files)


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine (127.0.0.0/8, ::1, localhost)."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
