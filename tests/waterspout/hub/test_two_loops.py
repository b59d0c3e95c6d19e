"""A hub that several event loops share: which one delivers, and where messages are heard."""

import asyncio
import sys
import threading
import time
from collections import deque

import pytest

from tests.waterspout.hub.delivery import deliver
from tests.waterspout.processes import running_thread
from waterspout.exceptions import NotServing
from waterspout.hub.local import Hub
from waterspout.hub.outbox import publish


@pytest.fixture
def switching_often():
    """Threads switch between almost any two steps."""
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
            deliver(hub, "a", b"1")


@pytest.mark.gen_test(timeout=20)
async def test_a_subscriber_that_came_on_another_loop_is_not_forgotten():
    """The topic has just lost its last subscriber, or is losing it now."""
    hub = Hub()

    async def subscribe_and_read():
        for number in range(100):
            subscription = hub.subscribe("a")
            assert await asyncio.wait_for(anext(subscription), 5) == 1, number
            subscription.close()

    with running_thread(asyncio.run, subscribe_and_read()) as thread:
        while thread.is_alive():
            deliver(hub, "a", b"1")
            await asyncio.sleep(0)


class ReadMeanwhile(deque):
    """The reader's thread takes everything as soon as somebody else has looked how much there is."""

    def __len__(self):
        length = super().__len__()
        self.clear()
        return length


@pytest.mark.gen_test
async def test_what_its_reader_takes_while_room_is_made_is_not_dropped():
    hub = Hub()
    subscription = hub.subscribe("a", max_queue=1)
    subscription._queue = ReadMeanwhile([b"1"])
    deliver(hub, "a", b"2")
    assert subscription.dropped == 0


# --- which of them delivers ----------------------------------------------------------------------------


class Home:
    """An event loop in a thread of its own, for what a test does on it."""

    def __enter__(self):
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        return self

    def run(self, work):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(10)

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()


async def call(function, *arguments):
    return function(*arguments)


async def next_of(subscription):
    return await asyncio.wait_for(anext(subscription), 5)


async def hear(hub, message="hello"):
    """Publish a message here; what a subscriber gets."""
    subscription = hub.subscribe("a")
    publish("a", message)
    try:
        return await next_of(subscription)
    finally:
        subscription.close()


def is_serving():
    try:
        publish("a", None)
    except NotServing:
        return False
    return True


def test_when_the_first_loop_stops_another_one_delivers():
    hub = Hub()
    with Home() as first, Home() as second:
        first.run(call(hub.open))
        second.run(call(hub.open))
        first.run(call(hub.close))
        assert second.run(hear(hub)) == "hello"
        second.run(call(hub.close))
        assert not is_serving()


def test_each_subscriber_hears_it_on_its_own_loop():
    hub = Hub()

    async def read(subscription):
        return await next_of(subscription), asyncio.get_running_loop()

    with Home() as first, Home() as second:
        found = {}
        for home in (first, second):
            home.run(call(hub.open))
            found[home] = home.run(call(hub.subscribe, "a"))
        publish("a", 1)
        for home, subscription in found.items():
            assert home.run(read(subscription)) == (1, home.loop)
        for home in found:
            home.run(call(hub.close))


@pytest.mark.parametrize("stops", [True, False])
def test_a_loop_that_was_closed_is_forgotten(stops):
    """Stopped or not: a loop that goes on still hears messages, and in the end nobody serves."""
    hub = Hub()
    with Home() as first:
        first.run(call(hub.open))
        with Home() as second:
            second.run(call(hub.open))
            first.run(hear(hub))
            if stops:
                second.run(call(hub.close))
        assert first.run(hear(hub)) == "hello"
        if stops:
            first.run(call(hub.close))
    assert not is_serving()


def test_what_a_closed_loop_has_left_is_not_heard_by_who_comes_next():
    """As between two tests, neither of which stops its application."""
    hub = Hub()
    gone, loop = asyncio.new_event_loop(), asyncio.new_event_loop()
    gone.run_until_complete(call(hub.open))
    publish("a", "of the first test")
    gone.close()

    async def open_and_hear():
        hub.open()
        return await hear(hub, "of the second")

    assert loop.run_until_complete(open_and_hear()) == "of the second"
    loop.run_until_complete(call(hub.close))
    loop.close()


def test_what_lies_there_when_its_loop_is_closed_goes_to_another():
    hub = Hub()
    with Home() as first:
        first.run(call(hub.open))
        subscription = first.run(call(hub.subscribe, "a"))
        gone = asyncio.new_event_loop()
        gone.run_until_complete(call(hub.open))
        blocked = threading.Event()
        first.loop.call_soon_threadsafe(blocked.wait, 10)
        publish("a", 1)
        gone.close()
        blocked.set()
        publish("a", 2)
        assert [first.run(next_of(subscription)) for _ in range(2)] == [1, 2]
        first.run(call(hub.close))


def test_a_loop_that_stands_still_keeps_nothing_from_one_that_runs():
    """Such as an application for a whole module of tests, and one for a single test."""
    hub = Hub()
    still, running = asyncio.new_event_loop(), asyncio.new_event_loop()
    still.run_until_complete(call(hub.open))
    later = still.run_until_complete(call(hub.subscribe, "a"))
    publish("a", "before")  # waits for the loop
    running.run_until_complete(call(hub.open))
    assert running.run_until_complete(hear(hub)) == "hello"
    running.run_until_complete(call(hub.close))
    running.close()
    assert [still.run_until_complete(next_of(later)) for _ in range(2)] == ["before", "hello"]
    assert still.run_until_complete(hear(hub, "after")) == "after"
    still.run_until_complete(call(hub.close))
    still.close()
    assert not is_serving()


def test_messages_for_a_loop_that_stands_still_do_not_pile_up():
    """Such as the loop of a view that works between two messages."""
    hub, alive = Hub(), []

    class Message(bytes):
        def __init__(self, *_):
            alive.append(None)

        def __del__(self):
            alive.pop()

    still = asyncio.new_event_loop()
    subscription = still.run_until_complete(call(hub.subscribe, "a", 3))
    with Home() as home:
        for number in range(20):
            home.run(call(deliver, hub, "a", Message(b"%d" % number)))
    assert (len(alive), subscription.dropped) == (3, 17)
    assert [still.run_until_complete(next_of(subscription)) for _ in range(3)] == [17, 18, 19]
    still.close()


def test_subscribers_of_a_loop_end_when_its_last_server_has_closed():
    hub = Hub()
    with Home() as first, Home() as second:
        for home in (first, second, second):
            home.run(call(hub.open))
        here, there = first.run(call(hub.subscribe, "a")), second.run(call(hub.subscribe, "a"))
        second.run(call(hub.close))
        publish("a", 1)
        assert second.run(next_of(there)) == 1
        second.run(call(hub.close))
        second.run(end_of(there))
        assert first.run(hear(hub)) == "hello"
        assert first.run(next_of(here)) == 1
        first.run(call(hub.close))


async def end_of(subscription):
    try:
        await next_of(subscription)
    except StopAsyncIteration:
        return
    raise AssertionError("it has not ended")


def test_a_reader_on_a_closed_loop_hinders_nobody():
    hub = Hub()
    gone = asyncio.new_event_loop()
    gone.run_until_complete(call(hub.open))
    forgotten = gone.run_until_complete(call(hub.subscribe, "a"))
    reading = gone.create_task(end_of(forgotten))
    gone.run_until_complete(asyncio.sleep(0))
    reading.cancel()
    gone.run_until_complete(asyncio.gather(reading, return_exceptions=True))
    gone.close()
    with Home() as home:
        home.run(call(hub.open))
        assert home.run(hear(hub)) == "hello"
        home.run(call(hub.close))
