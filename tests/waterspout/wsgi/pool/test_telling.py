"""What is read from pools, whatever state they are in."""

import os
import time
from collections import deque
from types import SimpleNamespace

import pytest

from waterspout.ops.figures import Figures
from waterspout.wsgi.pool.telling import is_up, read_pool

pytestmark = pytest.mark.gen_test(timeout=20)

COUNTS = ("restarts", "crashed", "refused", "timed_out", "died", "stuck")


class FakeLane(SimpleNamespace):
    __hash__ = object.__hash__


def lane(age):
    """One whose request has been running for `age` seconds."""
    record = SimpleNamespace(request_id=f"id-{age}", started=time.perf_counter() - age)
    return FakeLane(busy=True, view=f"GET /{age}", record=record, seconds=age)


def crew(idle=0, busy=0, stuck=0, draining=False, lanes=()):
    return SimpleNamespace(
        idle=deque([None] * idle),
        lanes=lanes,
        busy=busy,
        stuck=stuck,
        draining=draining,
        started=0,
        ready_at=0.0,
        pid=os.getpid(),
    )


def pool(*crews, **more):
    defaults = {
        "stopping": False,
        "started": 5,
        "running": 1,
        "prefetched": 7,
        "waiting": 2,
        "figures": Figures(),
        "admission": SimpleNamespace(cut=8, space=SimpleNamespace(used=65536, limit=131072)),
    }
    defaults |= dict.fromkeys(COUNTS, 0)
    settings = SimpleNamespace(queue=7)
    return SimpleNamespace(crews=crews, settings=settings, **(defaults | more))


@pytest.mark.parametrize(
    ("found", "up"),
    [
        (pool(), False),
        (pool(crew()), False),
        (pool(crew(idle=1)), True),
        (pool(crew(busy=1)), True),
        (pool(crew(), crew(idle=1)), True),
        (pool(crew(busy=2, stuck=2)), False),
        (pool(crew(busy=2, stuck=1)), True),
        (pool(crew(idle=1), stopping=True), False),
        (pool(crew(busy=1, draining=True)), False),
        (pool(crew(busy=1, draining=True), crew(idle=1)), True),
    ],
)
async def test_a_pool_is_up_that_has_a_lane_of_use(found, up):
    assert is_up(found) is up


async def test_lanes_queue_and_requests_are_told():
    told = read_pool(pool(crew(idle=1, busy=2)))
    assert told["lanes"] == {"total": 3, "busy": 2, "stuck": 0}
    assert told["queue"] == {"length": 2, "limit": 7}
    assert told["requests"] == {"started": 5, "running": 1, "prefetched": 7, "finished": 0}
    assert [told[name] for name in COUNTS[:5]] == [0, 0, 0, 0, 0]


async def test_what_a_pool_counts_is_told():
    told = read_pool(pool(restarts=1, crashed=6, refused=2, timed_out=3, died=4, stuck=5))
    assert [told[name] for name in COUNTS[:5]] == [1, 6, 2, 3, 4]
    assert told["lanes"]["stuck"] == 5
    assert told["slow_clients"] == {"cut": 8, "spool": {"used": 65536, "limit": 131072}}


async def test_a_crew_that_is_not_ready_has_no_age():
    (process,) = read_pool(pool(crew()))["processes"]
    assert process["age"] is None


async def test_the_requests_that_run_longest_are_told_with_their_process():
    young, old = [lane(age) for age in (1, 2, 3)], [lane(age) for age in (30, 20, 40, 5)]
    told = read_pool(pool(crew(lanes=young), crew(lanes=old)))["longest"]
    assert [each["id"] for each in told] == ["id-40", "id-30", "id-20", "id-5", "id-3"]
    assert told[0] == {"id": "id-40", "request": "GET /40", "seconds": told[0]["seconds"], "pid": os.getpid()}
    assert told[0]["seconds"] == pytest.approx(40, abs=5)
