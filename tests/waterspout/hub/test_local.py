"""The hub of one process: who gets what, what a slow reader misses, and how it ends."""

import asyncio
import gc
import threading
import time
import weakref
from contextlib import suppress

import pytest

import waterspout
from tests.waterspout.hub.delivery import deliver
from tests.waterspout.processes import fork_and_ask, running_thread
from waterspout.exceptions import NotServing
from waterspout.hub.local import _AS_ONE_MORE, _DELIVERIES_AT_ONCE, Hub, subscribe
from waterspout.hub.local import hub as process_hub
from waterspout.hub.outbox import publish


@pytest.fixture
def hub(io_loop):
    """A separate hub that serves on the test's event loop."""

    async def open_hub():
        hub = Hub()
        hub.open()
        return hub

    hub = io_loop.run_sync(open_hub)
    yield hub
    hub.close()


async def next_of(subscription, seconds=5):
    return await asyncio.wait_for(anext(subscription), seconds)


async def rest_of(subscription, seconds=5):
    """All messages up to its end."""

    async def read():
        return [message async for message in subscription]

    return await asyncio.wait_for(read(), seconds)


@pytest.mark.gen_test
async def test_a_published_message_reaches_every_subscriber_of_its_topic(hub):
    first, second, other = hub.subscribe("a"), hub.subscribe("a"), hub.subscribe("b")
    publish("a", {"n": 1})
    assert await next_of(first) == await next_of(second) == {"n": 1}
    publish("b", "end")
    assert await next_of(other) == "end"


@pytest.mark.parametrize("comes_first", [True, False])
@pytest.mark.gen_test
async def test_who_waits_no_longer_loses_no_message(hub, comes_first):
    """It comes in the very turn in which the wait times out: docs/native.md has readers wait like that."""
    subscription = hub.subscribe("a")
    for number in range(2):  # a first read, and one after an earlier message
        reading = asyncio.create_task(anext(subscription))
        await asyncio.sleep(0)
        if comes_first:
            deliver(hub, "a", b'"%d"' % number)
        reading.cancel()
        if not comes_first:
            deliver(hub, "a", b'"%d"' % number)
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert await next_of(subscription) == str(number)
    assert subscription.dropped == 0


@pytest.mark.gen_test
async def test_messages_keep_their_order(hub):
    subscription = hub.subscribe("a", max_queue=1000)
    for number in range(1000):
        publish("a", number)
    assert [await next_of(subscription) for _ in range(1000)] == list(range(1000))


@pytest.mark.gen_test
async def test_what_one_subscriber_does_to_a_message_no_other_one_sees(hub):
    first, second = hub.subscribe("a"), hub.subscribe("a")
    publish("a", {"list": [1]})
    (await next_of(first))["list"].append(2)
    assert await next_of(second) == {"list": [1]}


@pytest.mark.gen_test
async def test_what_the_publisher_does_afterwards_nobody_sees(hub):
    subscription = hub.subscribe("a")
    message = [1]
    publish("a", message)
    message.append(2)
    assert await next_of(subscription) == [1]


@pytest.mark.gen_test
async def test_a_reader_that_waits_is_woken(hub):
    subscription = hub.subscribe("a")
    waiting = asyncio.ensure_future(next_of(subscription))
    await asyncio.sleep(0)
    publish("a", "hello")
    assert await waiting == "hello"


@pytest.mark.gen_test
async def test_another_thread_may_publish(hub):
    subscription = hub.subscribe("a")
    with running_thread(publish, "a", "from a thread"):
        assert await next_of(subscription) == "from a thread"


@pytest.mark.gen_test
async def test_nobody_need_subscribe(hub):
    publish("nobody", 1)
    await asyncio.sleep(0.01)
    subscription = hub.subscribe("nobody")
    publish("nobody", 2)
    assert await next_of(subscription) == 2


# --- slow readers --------------------------------------------------------------------------------------


@pytest.mark.gen_test
async def test_a_slow_reader_misses_the_oldest_and_is_told_how_many(hub):
    subscription = hub.subscribe("a", max_queue=2)
    for number in range(5):
        deliver(hub, "a", b"%d" % number)
    assert (subscription.missed, subscription.dropped) == (0, 3)
    assert (await next_of(subscription), subscription.missed) == (3, 3)
    assert (await next_of(subscription), subscription.missed) == (4, 0)
    deliver(hub, "a", b"5")
    assert (await next_of(subscription), subscription.missed, subscription.dropped) == (5, 0, 3)


@pytest.mark.gen_test
async def test_a_slow_reader_slows_nobody_else(hub):
    slow, quick = hub.subscribe("a", max_queue=1), hub.subscribe("a", max_queue=10)
    for number in range(5):
        deliver(hub, "a", b"%d" % number)
    assert [await next_of(quick) for _ in range(5)] == list(range(5))
    assert (await next_of(slow), slow.missed, quick.dropped) == (4, 4, 0)


@pytest.mark.parametrize("max_queue", [0, -1])
@pytest.mark.gen_test
async def test_a_queue_for_nothing_is_refused(hub, max_queue):
    with pytest.raises(ValueError, match="at least 1"):
        hub.subscribe("a", max_queue=max_queue)


@pytest.mark.parametrize("topic", ["", "a\nb", "x" * 256, None])
@pytest.mark.gen_test
async def test_a_topic_that_is_no_name_is_refused(hub, topic):
    with pytest.raises(ValueError, match="topic"):
        hub.subscribe(topic)


@pytest.mark.gen_test
async def test_two_tasks_that_read_one_subscription_are_told(hub):
    subscription = hub.subscribe("a")
    first = asyncio.ensure_future(anext(subscription))
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="two tasks"):
        await anext(subscription)
    deliver(hub, "a", b"1")
    assert await first == 1


@pytest.mark.gen_test
async def test_a_reader_that_gave_up_loses_nothing(hub):
    subscription = hub.subscribe("a")
    with pytest.raises(TimeoutError):
        await next_of(subscription, 0.01)
    deliver(hub, "a", b"1")
    assert await next_of(subscription) == 1


# --- the end -------------------------------------------------------------------------------------------


@pytest.mark.gen_test
async def test_a_closed_subscription_ends_after_what_it_has(hub):
    subscription = hub.subscribe("a")
    deliver(hub, "a", b"1")
    subscription.close()
    subscription.close()
    deliver(hub, "a", b"2")
    assert await rest_of(subscription) == [1]
    assert await rest_of(subscription) == []


@pytest.mark.gen_test
async def test_leaving_the_block_closes_it(hub):
    async with hub.subscribe("a") as subscription:
        deliver(hub, "a", b"1")
        assert await next_of(subscription) == 1
    deliver(hub, "a", b"2")
    assert await rest_of(subscription) == []


@pytest.mark.parametrize("end", [Hub.close, Hub.end_subscriptions])
@pytest.mark.gen_test
async def test_readers_that_wait_stop_when_the_server_does(hub, end):
    waiting = [asyncio.ensure_future(rest_of(hub.subscribe(topic))) for topic in "abca"]
    await asyncio.sleep(0)
    deliver(hub, "a", b"1")
    end(hub)
    assert await asyncio.gather(*waiting) == [[1], [], [], [1]]


@pytest.mark.gen_test
async def test_what_is_nested_too_deeply_to_be_read_is_said_and_the_next_one_comes(hub, caplog):
    async with hub.subscribe("a") as subscription:
        deliver(hub, "a", 100_000 * b"[" + 100_000 * b"]")
        deliver(hub, "a", b"2")
        assert await next_of(subscription) == 2
    assert "a message on topic a is lost: it is nested too deeply" in caplog.text


@pytest.mark.gen_test
async def test_it_is_one_more_that_its_reader_misses(hub):
    subscription = hub.subscribe("a", max_queue=2)
    for number in range(4):
        deliver(hub, "a", b"%d" % number)
    deliver(hub, "a", 100_000 * b"[" + 100_000 * b"]")
    deliver(hub, "a", b"5")
    assert (await next_of(subscription), subscription.missed, subscription.dropped) == (5, 5, 5)
    deliver(hub, "a", b"6")
    assert (await next_of(subscription), subscription.missed, subscription.dropped) == (6, 0, 5)


@pytest.mark.gen_test
async def test_while_it_drains_new_subscriptions_still_work(hub):
    hub.end_subscriptions()
    subscription = hub.subscribe("a")
    publish("a", 1)
    assert await next_of(subscription) == 1


@pytest.mark.gen_test
async def test_a_subscription_that_nobody_holds_is_gone(hub):
    subscription = hub.subscribe("a")
    gone = weakref.ref(subscription)
    del subscription
    gc.collect()
    assert gone() is None
    deliver(hub, "a", b"1")


@pytest.mark.gen_test
async def test_topics_of_subscriptions_that_nobody_holds_do_not_pile_up(hub):
    kept = [hub.subscribe(f"kept-{number}") for number in range(100)]
    for number in range(5000):
        hub.subscribe(f"forgotten-{number}")
    assert len(hub._topics) <= 500
    assert all(subscription.topic in hub._topics for subscription in kept)


@pytest.mark.gen_test
async def test_it_serves_until_as_many_have_closed_as_have_opened(hub):
    hub.open()
    hub.close()
    subscription = hub.subscribe("a")
    publish("a", 1)
    assert await next_of(subscription) == 1
    hub.close()
    with pytest.raises(NotServing):
        publish("a", 2)
    assert await rest_of(subscription) == []
    hub.close()
    hub.open()
    publish("a", 3)


@pytest.mark.gen_test
async def test_what_was_published_before_a_stop_is_not_delivered_after_a_new_start(hub):
    subscription = hub.subscribe("a")
    hub.close()
    hub.open()
    deliver(hub, "a", b"1")
    assert await rest_of(subscription) == []


def test_a_hub_can_serve_on_another_loop_when_the_first_is_gone():
    hub = Hub()

    async def exchange(message):
        hub.open()
        subscription = hub.subscribe("a")
        publish("a", message)
        assert await next_of(subscription) == message

    for message in (1, 2):
        with running_thread(asyncio.run, exchange(message)):
            pass
    hub.close()
    hub.close()
    with pytest.raises(NotServing):
        publish("a", 3)


@pytest.mark.gen_test
async def test_the_collector_may_close_a_subscription_while_the_hub_is_at_work(hub):
    """It ends a handler that nothing refers to any more, in the thread that is just delivering a message."""
    subscription = hub.subscribe("a")

    def collect():
        with hub._lock:
            subscription.close()

    with running_thread(collect) as thread:
        await asyncio.to_thread(thread.join, 5)
        assert not thread.is_alive()
    deliver(hub, "a", b"1")
    assert await rest_of(subscription) == []
    subscription = None
    gc.collect()


# --- two loops in two threads --------------------------------------------------------------------------


class OtherLoop:
    """A subscriber of `hub` on an event loop of its own, in a thread of its own."""

    def __init__(self, hub):
        self._hub = hub
        self._ready = threading.Event()
        self.messages = []
        self.ended = threading.Event()

    def run(self):
        asyncio.run(self._read())

    async def _read(self):
        self._loop = asyncio.get_running_loop()
        subscription = self._hub.subscribe("a")
        self._loop.call_soon(self._ready.set)
        async for message in subscription:
            self.messages.append(message)
        self.ended.set()

    def wake(self):
        """Wake its loop, so that it sees what nothing has woken it for."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(lambda: None)

    async def wait(self, condition, seconds=5):
        """Whether the condition comes true, while both loops go on."""
        deadline = time.monotonic() + seconds
        while not condition() and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        return condition()

    async def ready(self):
        """Wait until it waits for messages, and nothing else keeps its loop awake."""
        assert await self.wait(self._ready.is_set)
        await asyncio.sleep(0.05)


@pytest.mark.gen_test(timeout=20)
async def test_a_subscriber_on_another_loop_gets_its_messages_and_its_end(hub):
    """The second loop sleeps when the end comes: nothing but the end itself can wake it."""
    other, here = OtherLoop(hub), hub.subscribe("a")
    with running_thread(other.run):
        await other.ready()
        publish("a", 1)
        publish("a", 2)
        assert [await next_of(here), await next_of(here)] == [1, 2]
        assert await other.wait(lambda: other.messages == [1, 2])
        await asyncio.sleep(0.05)
        hub.close()
        ended = await other.wait(other.ended.is_set)
        other.wake()
    assert ended


# --- the one of this process ---------------------------------------------------------------------------


def test_subscribing_needs_an_event_loop():
    with pytest.raises(NotServing, match="native handlers"):
        subscribe("a")


@pytest.mark.gen_test
async def test_who_subscribes_before_a_server_starts_hears_it_then():
    """A container starts with its first request, and a handler may have had one before."""
    async with subscribe("a") as messages:
        process_hub.open()
        try:
            publish("a", 1)
            assert await anext(messages) == 1
        finally:
            process_hub.close()


@pytest.mark.gen_test
async def test_in_a_forked_child_nobody_would_hear():
    def try_to_subscribe():
        async def main():
            subscribe("a")

        try:
            asyncio.run(main())
        except NotServing:
            return 7
        return 0

    process_hub.open()
    try:
        assert fork_and_ask(try_to_subscribe) == 7
    finally:
        process_hub.close()


@pytest.mark.gen_test
async def test_subscribe_and_publish_use_the_hub_of_the_process():
    process_hub.open()
    try:
        async with waterspout.subscribe("a", max_queue=3) as subscription:
            waterspout.publish("a", 1)
            assert await next_of(subscription) == 1
    finally:
        process_hub.close()


@pytest.mark.gen_test
async def test_a_server_in_a_forked_child_hears_its_own_messages(hub):
    """The copy of its parent's event loop seems to run."""

    async def exchange():
        hub.open()
        subscription = hub.subscribe("a")
        publish("a", 7)
        return await next_of(subscription)

    assert fork_and_ask(lambda: asyncio.run(exchange())) == 7


@pytest.mark.gen_test
async def test_a_burst_leaves_the_event_loop_its_turns(hub):
    """A reader that never has to wait would keep it from everybody else."""
    subscription, turns = hub.subscribe("burst"), []

    async def take_turns():
        while True:
            turns.append(None)
            await asyncio.sleep(0)

    for _ in range(50):
        deliver(hub, "burst", b"1")
    others = asyncio.ensure_future(take_turns())
    for _ in range(50):
        await anext(subscription)
    others.cancel()
    assert len(turns) >= 25


@pytest.mark.gen_test
async def test_a_flood_from_another_process_leaves_the_event_loop_its_turns(hub, monkeypatch):
    """One read of a process's messages may bring thousands."""
    monkeypatch.setattr("waterspout.hub.local._DELIVERIES_MEANWHILE", 0)  # whatever else takes time
    subscription = hub.subscribe("flood", max_queue=1000)
    for _ in range(200):
        hub.forward("flood", b"1")
        hub.forward("nobody's", b"1")
    came = 0
    while came < 200:
        before, came = came, len(subscription._queue)
        assert came - before <= _DELIVERIES_AT_ONCE
        await asyncio.sleep(0)
    assert hub._outbox.take() is None


@pytest.mark.gen_test
async def test_so_does_a_message_to_thousands(hub, monkeypatch):
    """Each reader that is woken has something to do with it."""
    monkeypatch.setattr("waterspout.hub.local._DELIVERIES_MEANWHILE", 0)  # whatever else takes time
    subscriptions = [hub.subscribe("many") for _ in range(1000)]
    for number in range(3):
        publish("many", number)
    came = 0
    while came < 3000:
        before, came = came, sum(len(subscription._queue) for subscription in subscriptions)
        assert came - before <= _DELIVERIES_AT_ONCE
        await asyncio.sleep(0)
    for subscription in subscriptions:
        assert [await next_of(subscription) for _ in range(3)] == [0, 1, 2]


@pytest.mark.gen_test
async def test_of_large_messages_there_are_fewer_in_a_turn(hub, monkeypatch):
    monkeypatch.setattr("waterspout.hub.local._DELIVERIES_MEANWHILE", 0)  # whatever else takes time
    subscriptions = [hub.subscribe("many") for _ in range(20)]
    publish("many", "x" * 40 * _AS_ONE_MORE)
    came, most = 0, 0
    while came < 20:
        before, came = came, sum(len(subscription._queue) for subscription in subscriptions)
        most = max(most, came - before)
        await asyncio.sleep(0)
    assert most == 3


@pytest.mark.gen_test
async def test_where_iterations_are_long_there_are_more(hub):
    """Else a thousand subscribers would get a message in ten of them."""
    subscriptions = [hub.subscribe("many") for _ in range(1000)]
    publish("many", 1)
    iterations = 0
    while not all(subscription._queue for subscription in subscriptions):
        time.sleep(0.1)
        await asyncio.sleep(0)
        iterations += 1
    assert iterations < 5


@pytest.mark.gen_test
async def test_a_hub_that_closes_in_the_middle_keeps_nothing(hub):
    subscriptions = [hub.subscribe("many") for _ in range(1000)]
    publish("many", 1)
    await asyncio.sleep(0)
    hub.close()
    assert (hub._message, next(hub._audience, None)) == (b"", None)
    assert len(subscriptions) == 1000
    hub.open()


@pytest.mark.gen_test
async def test_what_has_come_can_be_asked_for_without_waiting(hub):
    subscription = hub.subscribe("a")
    deliver(hub, "a", b"1")
    with pytest.raises(StopIteration) as returned:
        subscription.__anext__().send(None)
    assert returned.value.value == 1
