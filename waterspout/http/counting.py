"""How many connections a server has, and how many there can be. Leaf."""

from __future__ import annotations

from typing import NamedTuple

from waterspout.system.descriptors import find_limit


class Connections(NamedTuple):
    """`open`: all, including WebSockets if the application counts them; `websockets`, None if it doesn't;
    `limit`, how many descriptors this process may have, None: any number.
    """

    open: int
    websockets: int | None
    limit: int | None


def count_connections(speaking: int, application: object) -> Connections:
    """Count those of a server that has `speaking` HTTP connections and serves `application`."""
    told = getattr(application, "open_sockets", None)
    websockets = told if isinstance(told, int) else None  # others may use this name differently
    return Connections(speaking + (websockets or 0), websockets, find_limit())
