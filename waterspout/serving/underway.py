"""What a server is working on when it is told to stop, for the log line that says so."""

from __future__ import annotations

import sys

from tornado.web import Application as TornadoApplication

from waterspout.ops.natives import NativeRequest, find_natives
from waterspout.routing.containers import name_pools
from waterspout.wsgi.lanes.longest import find_longest
from waterspout.wsgi.pool.pool import Pool


def describe_underway(application: TornadoApplication, websockets: int | None, arriving: int) -> str:
    """`; 2 running, the longest GET /report for 4 s; 3 WebSockets`; "" when there is nothing. Requests that
    nobody waits for are left out: the stop doesn't wait for them, either. `arriving`: the bodies of so many
    requests are not whole; those that are streamed to a handler or a view run already.
    """
    pools = list(name_pools(application).values())
    natives = [native for native in find_natives() if not native.is_left]
    replying = sum(native.replies for native in natives)
    waiting = sum(pool.waiting for pool in pools)
    facts = [
        _describe_running(pools, [native for native in natives if not native.replies]),
        f"{waiting} waiting for a lane" if waiting else "",
        _count(arriving, "request body is arriving", "request bodies are arriving"),
        _count(replying, "native reply has begun", "native replies have begun"),
        _count(websockets or 0, "WebSocket", "WebSockets"),
    ]
    return "".join(f"; {fact}" for fact in facts if fact)


def _describe_running(pools: list[Pool], natives: list[NativeRequest]) -> str:
    lanes = [lane for pool in pools for crew in pool.crews for lane in crew.lanes if not lane.stuck]
    running = [(native.seconds, native.request) for native in natives]
    busy = find_longest(lanes, sys.maxsize)  # a pool's own count includes the idle lanes of a killed process
    running += [(lane.seconds, lane.view) for lane in busy[:1]]
    many = len(natives) + len(busy) + sum(pool.prefetched for pool in pools)
    said = f"{many} running" if many else ""
    if not said or not running:
        return said
    seconds, request = max(running)
    return f"{said}, the longest {request} for {seconds:.0f} s"


def _count(many: int, one: str, more: str) -> str:
    return f"{many} {one if many == 1 else more}" if many else ""
