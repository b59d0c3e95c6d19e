"""Subscribers on an event loop of their own, in a thread of their own, while the first loop delivers."""

import asyncio
import sys
import time

import pytest

from tests.waterspout.processes import running_thread
from waterspout.hub.local import Hub


@pytest.fixture
def switching_often():
    """Threads take turns between almost any two steps."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


async def come_and_go(hub, seconds, together):
    """Subscribers that leave as soon as they have come."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for subscription in [hub.subscribe("a") for _ in range(together)]:
            subscription.close()
        await asyncio.sleep(0)


@pytest.mark.usefixtures("switching_often")
@pytest.mark.parametrize("together", [1, 20])
@pytest.mark.gen_test(timeout=20)
async def test_subscribers_come_and_go_on_one_loop_while_another_delivers(together):
    hub = Hub()
    with running_thread(asyncio.run, come_and_go(hub, 1.5, together)) as thread:
        while thread.is_alive():
            hub.deliver("a", b"1")


@pytest.mark.gen_test(timeout=20)
async def test_a_subscriber_that_came_on_another_loop_is_not_forgotten():
    """The topic has lost its last subscriber a moment ago, or is losing it now."""
    hub = Hub()

    async def subscribe_and_read():
        for number in range(300):
            subscription = hub.subscribe("a")
            assert await asyncio.wait_for(anext(subscription), 5) == 1, number
            subscription.close()

    with running_thread(asyncio.run, subscribe_and_read()) as thread:
        while thread.is_alive():
            hub.deliver("a", b"1")
            await asyncio.sleep(0)
