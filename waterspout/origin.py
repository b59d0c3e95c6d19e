"""What every reply says of where it comes from: the fields `Date` and `Server`. Leaf."""

from __future__ import annotations

import time
from email.utils import formatdate
from functools import lru_cache
from typing import Any, Final

#: The field `Server`, on both sides; it does not say which version.
SERVER: Final = "waterspout"


@lru_cache(maxsize=2)
def _format(second: int) -> str:
    return formatdate(second, usegmt=True)


def http_date() -> str:
    """Now, as RFC 9110 section 5.6.7 writes it. Cached: formatting costs 3 µs, this 0.2."""
    return _format(int(time.time()))


def find_local_address(stream: Any, scheme: str) -> tuple[str, str]:
    """Where the client of `stream` came in: host and port. A UNIX socket has neither."""
    try:
        address = stream.socket.getsockname()
    except (AttributeError, OSError):
        address = None
    if isinstance(address, tuple):
        return str(address[0]), str(address[1])
    return "localhost", "443" if scheme == "https" else "80"
