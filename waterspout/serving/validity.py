"""From when and until when a certificate and its chain are valid, as their file says. Leaf."""

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
    """`begins`, `ends`: with a time zone. `whose`: for the log."""

    begins: datetime
    ends: datetime
    whose: str = "the certificate"

    def find_doubt(self, now: datetime) -> str:
        """What is wrong with it at this moment, with a date of UTC; "": nothing."""
        if now < self.begins:
            return f"{self.whose} is not valid before {self.begins:%Y-%m-%d}"
        if now > self.ends:
            return f"{self.whose} expired {self.ends:%Y-%m-%d}"
        if now > self.ends - SOON:
            return f"{self.whose} expires {self.ends:%Y-%m-%d}"
        return ""


def read_validity(path: str) -> Validity | None:
    """That of the first certificate in a PEM file, which is the server's own; or of one of its chain, if that
    ends sooner. None: it can't be read.
    """
    try:
        own = _find_dates(_decode(path))
        chain = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        chain.load_verify_locations(path)
        others = [_find_dates(told, _name(told)) for told in chain.get_ca_certs()]
    except (OSError, TypeError, ValueError):  # SSLError is an OSError
        return None
    return min([own, *others], key=lambda validity: validity.ends)


def _find_dates(told: dict[str, Any], *whose: str) -> Validity:
    begins, ends = (ssl.cert_time_to_seconds(told[name]) for name in ("notBefore", "notAfter"))
    return Validity(datetime.fromtimestamp(begins, UTC), datetime.fromtimestamp(ends, UTC), *whose)


def _name(told: dict[str, Any]) -> str:
    parts = dict(part for parts in told["subject"] for part in parts)
    return f"{parts.get('commonName', told['serialNumber'])!a} of the certificate's chain"
