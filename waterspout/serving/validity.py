"""From when and until when a certificate and its chain are valid, as their file says. Leaf."""

from __future__ import annotations

import _ssl
import ssl
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

#: A certificate that expires this soon should have been renewed: 90-day ones are renewed 30 days before.
SOON: Final = timedelta(days=14)
#: Private, seen in Python 3.11 to 3.15: `ssl` tells when a peer's certificate expires, but not one's own.
_decode: Any = getattr(_ssl, "_test_decode_cert", None)


class Validity(NamedTuple):
    """`begins`, `ends`: with a time zone. `whose`: for the log. `issuer`: the validity of the certificate
    that has signed it, None if that is not in the file.
    """

    begins: datetime
    ends: datetime
    whose: str = "the certificate"
    issuer: Validity | None = None

    def find_doubt(self, now: datetime) -> str:
        """What is wrong with it at `now`, or else with its issuer's, with a date; "" if nothing is."""
        if now < self.begins:
            return f"{self.whose} is not valid before {self.begins:%Y-%m-%d}"
        if now > self.ends:
            return f"{self.whose} expired {self.ends:%Y-%m-%d}"
        if now > self.ends - SOON:
            return f"{self.whose} expires {self.ends:%Y-%m-%d}"
        return "" if self.issuer is None else self.issuer.find_doubt(now)

    @property
    def usable_until(self) -> datetime:
        """Until when clients accept it."""
        return self.ends if self.issuer is None else min(self.ends, self.issuer.ends)


def read_validity(path: str) -> Validity | None:
    """That of the first certificate in a PEM file, which is the server's own. None: it can't be read.

    Of the others only its issuer counts: beyond that, clients may know another path to a root they trust.
    """
    try:
        told = _decode(path)
        return _find_dates(told)._replace(issuer=_find_issuer(path, told["issuer"]))
    except (OSError, TypeError, ValueError):
        return None


def _find_issuer(path: str, name: object) -> Validity | None:
    """The one that expires last: a renewed one may be there beside the old one."""
    chain = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        chain.load_verify_locations(path)
    except OSError:  # SSLError is one: something in the file is not a certificate, which is not our concern
        return None
    issuers = [_find_dates(told, _name(told)) for told in chain.get_ca_certs() if told["subject"] == name]
    return max(issuers, key=lambda validity: validity.ends, default=None)


def _find_dates(told: Any, whose: str = "the certificate") -> Validity:
    begins, ends = (ssl.cert_time_to_seconds(told[name]) for name in ("notBefore", "notAfter"))
    return Validity(datetime.fromtimestamp(begins, UTC), datetime.fromtimestamp(ends, UTC), whose)


def _name(told: Any) -> str:
    parts = dict(part for parts in told["subject"] for part in parts)
    return f"{parts.get('commonName', told['serialNumber'])!a} in the certificate's chain"
