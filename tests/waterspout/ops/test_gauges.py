"""What is read off pools, whatever state they are in."""

import json
import os
from collections import deque
from types import SimpleNamespace

import pytest

from tests.waterspout.wsgi import apps
from waterspout import Container
from waterspout.ops.figures import Figures
from waterspout.ops.gauges import Gauges, is_up, read_pool, read_rss

pytestmark = pytest.mark.gen_test(timeout=20)


COUNTS = ("restarts", "refused", "timed_out", "died", "stuck")


def crew(idle=0, busy=0, stuck=0, draining=False):
    return SimpleNamespace(
        idle=deque([None] * idle),
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
    assert Gauges(lambda: {"main": found}).find_down() == ([] if up else ["main"])


async def test_lanes_queue_and_requests_are_told():
    told = read_pool(pool(crew(idle=1, busy=2)))
    assert told["lanes"] == {"total": 3, "busy": 2, "stuck": 0}
    assert told["queue"] == {"length": 2, "limit": 7}
    assert told["requests"] == {"started": 5, "running": 1, "prefetched": 7, "finished": 0}
    assert [told[name] for name in COUNTS[:4]] == [0, 0, 0, 0]


async def test_what_a_pool_counts_is_told():
    told = read_pool(pool(restarts=1, refused=2, timed_out=3, died=4, stuck=5))
    assert [told[name] for name in COUNTS[:4]] == [1, 2, 3, 4]
    assert told["lanes"]["stuck"] == 5
    assert told["slow_clients"] == {"cut": 8, "spool": {"used": 65536, "limit": 131072}}


async def test_a_crew_that_is_not_ready_has_no_age():
    (process,) = read_pool(pool(crew()))["processes"]
    assert process["age"] is None


async def test_a_container_tells_before_while_and_after_it_runs():
    container = Container(apps.app, threads=2)
    for start in (True, False):
        stats = container.stats()
        assert json.loads(json.dumps(stats)) == stats
        assert stats["pools"]["main"]["up"] is not start
        if start:
            await container.start()
    assert container.stats()["pools"]["main"]["lanes"]["total"] == 2
    assert container.gauges.lag.sampling
    await container.stop(1)
    assert not container.gauges.lag.sampling
    assert container.stats()["pools"]["main"]["processes"] == []
    container.gauges.lag.stop()


def test_the_size_of_a_process_that_is_gone_is_not_known():
    assert read_rss(os.getpid()) > 1_000_000
    assert read_rss(2**22 + 1) is None
