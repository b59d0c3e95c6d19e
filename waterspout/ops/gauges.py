"""What can be read off a running server, as one JSON value. Times in seconds, sizes in bytes."""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from waterspout.ops.figures import Figures
from waterspout.ops.lag import LoopLag


class CrewLike(Protocol):
    """The threads of one process."""

    idle: deque[Any]
    started: int
    ready_at: float
    draining: bool

    @property
    def busy(self) -> int: ...

    @property
    def stuck(self) -> int: ...

    @property
    def pid(self) -> int | None: ...


class SpaceLike(Protocol):
    """The file that slow clients' bytes wait in."""

    limit: int

    @property
    def used(self) -> int: ...


class AdmissionLike(Protocol):
    """Who judges slow clients."""

    cut: int

    @property
    def space(self) -> SpaceLike: ...


class PoolLike(Protocol):
    """A pool, as far as it is read here."""

    figures: Figures
    started: int
    refused: int
    died: int
    settings: Any

    @property
    def admission(self) -> AdmissionLike: ...

    @property
    def crews(self) -> Iterable[CrewLike]: ...

    @property
    def restarts(self) -> int: ...

    @property
    def timed_out(self) -> int: ...

    @property
    def stuck(self) -> int: ...

    @property
    def running(self) -> int: ...

    @property
    def prefetched(self) -> int: ...

    @property
    def waiting(self) -> int: ...

    @property
    def stopping(self) -> bool: ...


class Gauges:
    """Reads `pools()`, by name, and the event loop's lag."""

    def __init__(self, pools: Callable[[], Mapping[str, PoolLike]]) -> None:
        self._pools = pools
        self._made_at = time.monotonic()
        self.lag = LoopLag()

    def read(self) -> dict[str, Any]:
        """Everything. Only on the event loop."""
        return {
            "server": {
                "pid": os.getpid(),
                "age": time.monotonic() - self._made_at,
                "rss": read_rss(os.getpid()),
            },
            "event_loop": {"lag": self.lag.tell()},
            "pools": {name: read_pool(pool) for name, pool in self._pools().items()},
        }

    def find_down(self) -> list[str]:
        """The names of pools that can run nothing now."""
        return [name for name, pool in self._pools().items() if not is_up(pool)]


def is_up(pool: PoolLike) -> bool:
    """Whether it takes requests, and has a lane that is free or will be."""
    return not pool.stopping and any(
        not crew.draining and (crew.idle or crew.busy > crew.stuck) for crew in pool.crews
    )


def read_pool(pool: PoolLike) -> dict[str, Any]:
    """One pool."""
    crews = list(pool.crews)
    busy = sum(crew.busy for crew in crews)
    told = pool.figures.tell()
    admission = pool.admission
    return {
        "up": is_up(pool),
        "queue": {"length": pool.waiting, "limit": pool.settings.queue},
        "lanes": {
            "total": busy + sum(len(crew.idle) for crew in crews),
            "busy": busy,
            "stuck": pool.stuck,
        },
        "requests": {
            "started": pool.started,
            "running": pool.running,
            "prefetched": pool.prefetched,
            "finished": told.pop("finished"),
        },
        **told,
        "slow_clients": {
            "cut": admission.cut,
            "spool": {"used": admission.space.used, "limit": admission.space.limit},
        },
        "restarts": pool.restarts,
        "refused": pool.refused,
        "timed_out": pool.timed_out,
        "died": pool.died,
        "processes": [read_crew(crew) for crew in crews],
    }


def read_crew(crew: CrewLike) -> dict[str, Any]:
    """One process. Of threads of the server, that is the server's own."""
    age = asyncio.get_running_loop().time() - crew.ready_at if crew.ready_at else None
    return {
        "pid": crew.pid,
        "age": age,
        "lanes": crew.busy + len(crew.idle),
        "busy": crew.busy,
        "draining": crew.draining,
        "served": crew.started,
        "rss": None if crew.pid is None else read_rss(crew.pid),
    }


def read_rss(pid: int) -> int | None:
    """What of a process lies in memory; None: it is gone, or this system does not tell."""
    try:
        with open(f"/proc/{pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return None
