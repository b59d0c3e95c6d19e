"""How many connections a server has, and how many there can be. Leaf."""

from __future__ import annotations

from typing import NamedTuple

try:
    import resource
except ImportError:
    resource = None  # type: ignore[assignment]  # Windows has none


class Connections(NamedTuple):
    """`open`: all, WebSockets too if the application counts them; `websockets`, None if it doesn't; `limit`,
    how many descriptors this process may have, None: any number.
    """

    open: int
    websockets: int | None
    limit: int | None


def count_connections(speaking: int, application: object) -> Connections:
    """Of a server that has `speaking` connections for HTTP, and serves `application`."""
    told = getattr(application, "open_sockets", None)
    websockets = told if isinstance(told, int) else None  # others may call something else so
    return Connections(speaking + (websockets or 0), websockets, find_limit())


def find_limit() -> int | None:
    """`ulimit -n`, that of this moment; None: there is none, or this system does not tell."""
    if resource is None:
        return None
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft
