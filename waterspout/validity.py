"""From when and until when a certificate is valid, as its file says. Pure.

Python tells it of certificates of others alone: `ssl` reads one's own and gives nothing of it away.
"""

from __future__ import annotations

import binascii
import re
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

#: A certificate that ends so soon should have been renewed: those that live for 90 days are 30 before.
SOON: Final = timedelta(days=14)
_PEM: Final = re.compile(rb"-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END ")
# Tags of DER (X.690 section 8).
_SEQUENCE, _VERSION, _UTC_TIME, _TIME = 0x30, 0xA0, 0x17, 0x18


class Validity(NamedTuple):
    """`begins`, `ends`: with a time zone."""

    begins: datetime
    ends: datetime

    def find_doubt(self, now: datetime) -> str:
        """What is wrong with it at this moment, with a date of UTC; "": nothing."""
        if now < self.begins:
            return f"the certificate is not valid before {self.begins:%Y-%m-%d}"
        if now > self.ends:
            return f"the certificate expired {self.ends:%Y-%m-%d}"
        if now > self.ends - SOON:
            return f"the certificate expires {self.ends:%Y-%m-%d}"
        return ""


def read_validity(pem: bytes) -> Validity | None:
    """That of the first certificate in a file, which is the server's own. None: it can't be read."""
    found = _PEM.search(pem)
    try:
        return None if found is None else _read(binascii.a2b_base64(found[1]))
    except (ValueError, IndexError):  # binascii.Error is a ValueError
        return None


def _read(der: bytes) -> Validity:
    """Of a certificate (RFC 5280 section 4.1). Raises ValueError, IndexError."""
    _, certificate, _ = _take(der, _SEQUENCE)
    _, rest, _ = _take(certificate, _SEQUENCE)
    tag, _, behind = _take(rest)
    if tag == _VERSION:
        rest = behind
    for _ in ("serialNumber", "signature", "issuer"):
        _, _, rest = _take(rest)
    _, validity, _ = _take(rest, _SEQUENCE)
    kind, begins, validity = _take(validity)
    other, ends, _ = _take(validity)
    return Validity(_read_time(kind, begins), _read_time(other, ends))


def _take(der: bytes, wanted: int | None = None) -> tuple[int, bytes, bytes]:
    """Tag and content of the first value, and what stands behind it. Raises ValueError, IndexError."""
    tag, size, start = der[0], der[1], 2
    if wanted is not None and tag != wanted:
        raise ValueError(f"a tag of {tag}, not {wanted}")
    if size >= 0x80:  # so many bytes of it follow
        start += size & 0x7F
        size = int.from_bytes(der[2:start], "big")
    if start + size > len(der):
        raise ValueError("it ends too soon")
    return tag, der[start : start + size], der[start + size :]


def _read_time(tag: int, content: bytes) -> datetime:
    """RFC 5280 sections 4.1.2.5.1 and 4.1.2.5.2. Raises ValueError."""
    text = content.decode("ascii")
    if tag == _UTC_TIME:
        text = ("19" if text[:2] >= "50" else "20") + text
    elif tag != _TIME:
        raise ValueError(f"a tag of {tag} is none of a time")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
