"""The fields `Date` and `Server` of every reply. Leaf."""

from __future__ import annotations

import time
from email.utils import formatdate
from typing import Final

#: The field `Server`, on both sides; it does not tell the version.
SERVER: Final = "waterspout"


#: One object, so that a thread sees all of it or nothing: the second since 1970, its date, and both fields.
_latest = (-1, "", "")


def http_date() -> str:
    """Now, in the format of RFC 9110 section 5.6.7. Kept for one second: formatting costs 3 µs, this 0.1."""
    latest, second = _latest, int(time.time())
    return latest[1] if latest[0] == second else _renew(second)[1]


def origin_fields() -> str:
    """Both fields, as lines of a head."""
    latest, second = _latest, int(time.time())
    return latest[2] if latest[0] == second else _renew(second)[2]


def _renew(second: int) -> tuple[int, str, str]:
    global _latest
    date = formatdate(second, usegmt=True)
    _latest = latest = (second, date, f"Date: {date}\r\nServer: {SERVER}\r\n")
    return latest
