"""What every reply says of where it comes from: the fields `Date` and `Server`. Leaf."""

from __future__ import annotations

import time
from email.utils import formatdate
from functools import lru_cache
from typing import Final

#: The field `Server`, on both sides; it does not say which version.
SERVER: Final = "waterspout"


@lru_cache(maxsize=2)
def _format(second: int) -> str:
    return formatdate(second, usegmt=True)


def http_date() -> str:
    """Now, as RFC 9110 section 5.6.7 writes it. Cached: formatting costs 3 µs, this 0.2."""
    return _format(int(time.time()))


@lru_cache(maxsize=2)
def _format_fields(second: int) -> str:
    return f"Date: {_format(second)}\r\nServer: {SERVER}\r\n"


def origin_fields() -> str:
    """Both fields, as lines."""
    return _format_fields(int(time.time()))
