"""The figures of pools, for JSON: see docs/stats.md. Times in seconds, sizes in bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from waterspout.limits import LONGEST
from waterspout.system.processes import read_rss
from waterspout.wsgi.lanes.crew import Crew
from waterspout.wsgi.lanes.longest import find_longest
from waterspout.wsgi.pool.pool import Pool


def is_up(pool: Pool) -> bool:
    """Whether it accepts requests, and has a lane that is free or will become free."""
    return not pool.stopping and any(
        not crew.draining and (crew.idle or crew.busy > crew.stuck) for crew in pool.crews
    )


def find_down(pools: Mapping[str, Pool]) -> list[str]:
    """The names of those that can't run anything now."""
    return [name for name, pool in pools.items() if not is_up(pool)]


def read_pools(pools: Mapping[str, Pool]) -> dict[str, Any]:
    """All of them, by name."""
    return {name: read_pool(pool) for name, pool in pools.items()}


def read_pool(pool: Pool) -> dict[str, Any]:
    """One pool."""
    crews = pool.crews
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


def read_longest(crews: Iterable[Crew]) -> list[dict[str, Any]]:
    """The requests that have been running longest, the longest first."""
    pids = {lane: crew.pid for crew in crews for lane in crew.lanes}
    return [
        {"id": lane.record.request_id, "request": lane.view, "seconds": lane.seconds, "pid": pids[lane]}
        for lane in find_longest(pids, LONGEST)
    ]


def read_crew(crew: Crew) -> dict[str, Any]:
    """One process. For threads of the server, it is the server process itself."""
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
