"""What can be read off a running server, as one JSON value. Times in seconds, sizes in bytes."""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from waterspout import __version__
from waterspout.limits import LONGEST
from waterspout.ops.figures import Figures
from waterspout.ops.lag import LoopLag
from waterspout.ops.longest import LaneLike, find_longest


class CrewLike(Protocol):
    """The threads of one process."""

    idle: deque[Any]
    lanes: Any
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
    def crashed(self) -> int: ...

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
    """Reads `pools()`, by name, the event loop's lag, and what native handlers have answered, as soon as an
    application counts it in `native`.
    """

    def __init__(self, pools: Callable[[], Mapping[str, PoolLike]]) -> None:
        self._pools = pools
        self._made_at = time.monotonic()
        self._native: list[int] | None = None
        self.lag = LoopLag()

    @property
    def native(self) -> list[int]:
        """Replies of native handlers by the first digit of their status; 0: who left before there was one.
        Each of them is counted here, so it is a plain list. Applications that share a container share it.
        """
        if self._native is None:
            self._native = [0] * 6
        return self._native

    def read(self) -> dict[str, Any]:
        """Everything. Only on the event loop."""
        return {
            "server": {
                "version": __version__,
                "pid": os.getpid(),
                "age": time.monotonic() - self._made_at,
                "rss": read_rss(os.getpid()),
            },
            "event_loop": {"lag": self.lag.tell()},
            "native": None if self._native is None else {"answers": read_answers(self._native)},
            "pools": {name: read_pool(pool) for name, pool in self._pools().items()},
        }

    def find_down(self) -> list[str]:
        """The names of pools that can run nothing now."""
        return [name for name, pool in self._pools().items() if not is_up(pool)]


def read_answers(counts: list[int]) -> dict[str, int]:
    """Of native handlers, by class of status."""
    return {f"{digit}xx": count for digit, count in enumerate(counts) if digit}


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
        "crashed": pool.crashed,
        "refused": pool.refused,
        "timed_out": pool.timed_out,
        "died": pool.died,
        "longest": read_longest(crews),
        "processes": [read_crew(crew) for crew in crews],
    }


def read_longest(crews: Iterable[CrewLike]) -> list[dict[str, Any]]:
    """The requests that have been running longest, the longest first."""
    pids: dict[LaneLike, int | None] = {lane: crew.pid for crew in crews for lane in crew.lanes}
    now = time.perf_counter()
    return [
        {
            "id": lane.record.request_id,
            "request": lane.view,
            "seconds": now - (lane.record.started or now),
            "pid": pids[lane],
        }
        for lane in find_longest(pids, LONGEST)
    ]


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
