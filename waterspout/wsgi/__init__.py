"""How a request reaches the WSGI app, and how the app's reply reaches the client.

    event loop                                              lane worker (a thread, here or in a WSGI process)
    Container -> Exchange -> Pool -> Lane ══ socket pair ══ LaneWorker -> environ -> app -> Response

    container.py  the fallback that Tornado sees
    pool/         which exchange runs on which lane; births, deaths and replacement of WSGI processes
    exchange/     one request and its reply, and how slow clients are handled
    lanes/        the event loop's ends of lanes, and the processes or threads at their other ends
    worker/       a lane's blocking end, and a WSGI process from the inside
    frames.py     what travels between the two; backlog.py, small requests queued there
    naming.py     the names of each side's URLs; linking.py tells the other side; urls.py builds them
    layers.py     what an app is made of
    settings.py   a pool's settings

Each of the four folders imports those below it in this list, and none above.

For a slow client: Exchange -> Admission, Spool -> Disk. Its body is spooled before the Pool is asked for a
lane, its reply after it leaves the Lane.

Rule: the worker's side never imports Tornado or asyncio; the loop's side never calls the app. `http` and
`wsgi` don't import each other.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from waterspout.wsgi.worker.alive import client_alive

if TYPE_CHECKING:
    from waterspout.wsgi.container import Container

__all__ = ["Container", "client_alive"]


def __getattr__(name: str) -> Any:
    """Load `Container` on first use: a WSGI process, which has no event loop, never needs it."""
    if name != "Container":
        raise AttributeError(f"module 'waterspout.wsgi' has no attribute {name!r}")
    return import_module("waterspout.wsgi.container").Container
