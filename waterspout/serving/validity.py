"""From when and until when a certificate is valid, as its file says. Leaf."""

from __future__ import annotations

import _ssl
import ssl
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

#: A certificate that ends so soon should have been renewed: those that live for 90 days are 30 before.
SOON: Final = timedelta(days=14)
#: Private, seen in Python 3.11 to 3.14: `ssl` tells when a peer's certificate ends, and not one's own.
_decode: Any = getattr(_ssl, "_test_decode_cert", None)


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


def read_validity(path: str) -> Validity | None:
    """That of the first certificate in a PEM file, which is the server's own. None: it can't be read."""
    try:
        told = _decode(path)
        begins, ends = (ssl.cert_time_to_seconds(told[name]) for name in ("notBefore", "notAfter"))
    except (OSError, TypeError, ValueError):  # SSLError is an OSError
        return None
    return Validity(datetime.fromtimestamp(begins, UTC), datetime.fromtimestamp(ends, UTC))
