"""Where a broker listens and how we know it is ours: URLs, TLS 1.3, whose clock judges.

Here: WIRE section 1, the rules for `mqtt://` and `mqtts://`. Not here: sockets and MQTT (`mqtt`),
which broker is next (`uplink`).
"""

from __future__ import annotations

import ssl
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

from gateway.domain.reading import Word

_X509_V_FLAG_NO_CHECK_TIME: Final = 0x200000  # openssl/x509_vfy.h; the ssl module has no name


class Address(Word, frozen=True):
    """Where a broker listens."""

    url: str
    host: str
    port: int
    tls: bool


class Tls(Word, frozen=True):
    """Files of mutual TLS, and the moment at which certificates must be valid."""

    ca_file: str
    cert_file: str
    key_file: str
    judge_ms: int | None = None
    """UTC milliseconds; None = the wall clock is right and OpenSSL judges by it."""


def address_of(url: str, allow_plaintext: bool = False) -> Address:
    """A broker's URL, checked. Raises ValueError with what is wrong and the remedy.

    >>> address_of("mqtts://b1.hq.example").port
    8883
    """
    parts = urlsplit(url)
    host, port = parts.hostname, parts.port
    if parts.scheme not in ("mqtt", "mqtts") or not host:
        raise ValueError(f"{url!r}: must look like mqtts://host:8883")
    tls = parts.scheme == "mqtts"
    if not tls and not allow_plaintext and not is_loopback(host):
        raise ValueError(f"{url!r}: plain mqtt:// leaves this machine; use mqtts://")
    return Address(url, host, port or (8883 if tls else 1883), tls)


def is_loopback(host: str) -> bool:
    """Whether the host is this machine: 127.0.0.0/8, ::1 or localhost. Never raises."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.casefold().rstrip(".") == "localhost"


def tls_context(tls: Tls, port: int) -> ssl.SSLContext:
    """TLS 1.3, server name and CA always verified, our own certificate shown.

    Raises OSError (ssl.SSLError is one) when a file is missing or holds no certificate.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations(tls.ca_file)
    context.load_cert_chain(tls.cert_file, tls.key_file)
    if port == 443:
        context.set_alpn_protocols(["mqtt"])
    if tls.judge_ms is not None:
        context.verify_flags |= _X509_V_FLAG_NO_CHECK_TIME
    return context


def judge(certificate: Any, tls: Tls) -> None:
    """The server's own certificate (as `getpeercert` gives it) at our best knowledge of the time.

    Only where OpenSSL was told not to look at the time. Raises ssl.SSLCertVerificationError.
    """
    if tls.judge_ms is None:
        return
    begins_ms = 1000 * ssl.cert_time_to_seconds(certificate["notBefore"])
    ends_ms = 1000 * ssl.cert_time_to_seconds(certificate["notAfter"])
    if not begins_ms <= tls.judge_ms <= ends_ms:
        raise ssl.SSLCertVerificationError("the broker's certificate is not valid at this time")
