import asyncio

import pytest

import waterspout
from waterspout.exceptions import NotServing
from waterspout.hub.local import hub
from waterspout.hub.outbox import Outbox, open_outbox
from waterspout.limits import FOLLOWERS_WOKEN_AT_ONCE
from waterspout.logs.tally import Tally
from waterspout.native.live import Event, TooManyFollowers, Watch
from waterspout.native.live import watch as watch_module

TOPIC = "weather"


class FakeSource:
    """A source whose newest cursor the test sets; None: it fails."""

    def __init__(self):
        self.cursor = (1, 0, 0)
        self.asked = 0
        self.error = OSError("disk")

    async def newest(self):
        self.asked += 1
        await asyncio.sleep(0)
        if self.cursor is None:
            raise self.error
        return self.cursor

    async def event(self, since):
        return Event.make("changes", self.cursor, {})


@pytest.fixture(autouse=True)
def failures(monkeypatch):
    """Nothing was said of any failure before."""
    monkeypatch.setattr(watch_module, "_failures", Tally(60))


@pytest.fixture
def source():
    return FakeSource()


@pytest.fixture
def watch(source):
    return Watch(TOPIC, source, limit=300, interval=0.05)


def next_of(follower):
    return asyncio.wait_for(anext(follower), 5)


@pytest.mark.gen_test
async def test_a_follower_hears_of_a_new_version(watch, source):
    with watch.follow(60) as follower:
        await follower.begin(None)
        source.cursor = (2, 0, 0)
        assert (await next_of(follower)).cursor == (2, 0, 0)


@pytest.mark.gen_test
async def test_it_hears_nothing_when_its_patience_ends(watch):
    with watch.follow(0.1) as follower:
        await follower.begin(None)
        assert await next_of(follower) is None


@pytest.mark.gen_test
async def test_however_many_follow_one_asks(source):
    watch = Watch(TOPIC, source, limit=300, interval=60)
    with watch.follow(60) as first:
        await first.begin(None)
        asked = source.asked
        followers = []
        for _ in range(50):
            context = watch.follow(60)
            followers.append((context, context.__enter__()))
        await asyncio.gather(*(follower.begin(None) for _, follower in followers))
        assert source.asked - asked <= 2
        for context, _ in followers:
            context.__exit__(None, None, None)


@pytest.mark.gen_test
async def test_all_hear_and_others_get_their_turn_between(watch, source):
    contexts = [watch.follow(60) for _ in range(2 * FOLLOWERS_WOKEN_AT_ONCE + 1)]
    followers = [context.__enter__() for context in contexts]
    for follower in followers:
        await follower.begin(None)
    tasks = [asyncio.create_task(next_of(follower)) for follower in followers]
    await asyncio.sleep(0.1)
    source.cursor = (2, 0, 0)
    done_at_a_turn = []
    while not all(task.done() for task in tasks):
        await asyncio.sleep(0)
        done_at_a_turn.append(sum(task.done() for task in tasks))
    assert any(0 < count < len(tasks) for count in done_at_a_turn)
    assert {task.result().cursor for task in tasks} == {(2, 0, 0)}
    for context in contexts:
        context.__exit__(None, None, None)


@pytest.mark.gen_test
async def test_what_is_learned_while_others_are_woken_is_spread_too(watch, source, monkeypatch):
    """For example by a reader that came in between and looked for itself."""
    wake_all = watch._wake_all

    async def wake_all_and_learn():
        await wake_all()
        await asyncio.sleep(0.05)  # those that were woken wait again
        if watch.newest == (2, 0, 0):
            source.cursor = (3, 0, 0)
            watch.learn((3, 0, 0))

    monkeypatch.setattr(watch, "_wake_all", wake_all_and_learn)
    with watch.follow(60) as follower:
        await follower.begin(None)
        await asyncio.sleep(0.1)
        source.cursor = (2, 0, 0)
        assert (await next_of(follower)).cursor == (2, 0, 0)
        assert (await next_of(follower)).cursor == (3, 0, 0)


@pytest.mark.gen_test
async def test_who_left_is_told_nothing_more(watch):
    with watch.follow(60) as follower:
        await follower.begin(None)
        waiting = asyncio.create_task(anext(follower, "the end"))
        await asyncio.sleep(0)
        follower.leave()
        assert await waiting == "the end"


@pytest.mark.gen_test
async def test_there_is_a_limit(watch):
    watch._limit = 1
    with watch.follow(60), pytest.raises(TooManyFollowers), watch.follow(60):
        pass
    with watch.follow(60):
        pass


def test_its_topic_is_a_name(source):
    with pytest.raises(ValueError, match="topic"):
        Watch("two\nlines", source)


@pytest.mark.gen_test
async def test_where_nothing_can_be_followed_no_follower_stays(watch, request):
    request.addfinalizer(lambda: open_outbox(None))
    open_outbox(Outbox(lambda: None))  # as in a WSGI process
    with pytest.raises(NotServing), watch.follow(60):
        pass
    assert watch.follower_count == 0


@pytest.mark.gen_test
async def test_without_followers_nobody_asks(watch, source):
    with watch.follow(60) as follower:
        await follower.begin(None)
    asked = source.asked
    await asyncio.sleep(0.2)
    assert source.asked == asked
    assert not hub._topics.get(TOPIC)


@pytest.mark.parametrize("error", [OSError("disk"), SystemExit("disk"), BaseException("disk")])
@pytest.mark.gen_test
async def test_a_failing_database_is_told_and_tried_again(watch, source, error, caplog):
    source.error = error
    with watch.follow(60) as follower:
        await follower.begin(None)
        source.cursor = None
        while "disk" not in caplog.text:
            await asyncio.sleep(0.01)
        source.cursor = (2, 0, 0)
        assert (await next_of(follower)).cursor == (2, 0, 0)
    assert "disk" in caplog.text


@pytest.mark.gen_test
async def test_that_it_goes_on_failing_is_told_now_and_then_and_not_each_time(
    watch, source, caplog, monkeypatch
):
    with watch.follow(60) as follower:
        await follower.begin(None)
        source.cursor, asked = None, source.asked
        while source.asked < asked + 5:
            await asyncio.sleep(0.01)
        assert caplog.text.count("can't check weather for news: OSError: disk") == 1
        monkeypatch.setattr(watch_module._failures, "_pause", 0)
        while "more such failures" not in caplog.text:
            await asyncio.sleep(0.01)


class HangingOnce:
    """Stands for a method of `source` that never returns, once: the database is gone, and nobody says so."""

    def __init__(self, source, name):
        self.source, self.name, self.whole = source, name, getattr(source, name)
        setattr(source, name, self)

    async def __call__(self, *arguments):
        setattr(self.source, self.name, self.whole)
        await asyncio.Event().wait()


@pytest.mark.gen_test
async def test_a_source_that_does_not_answer_is_told_and_asked_again(watch, source, caplog, monkeypatch):
    monkeypatch.setattr(watch_module, "SOURCE_PATIENCE", 0.2)
    with watch.follow(60) as follower:
        await follower.begin(None)
        hanging = HangingOnce(source, "newest")
        while source.newest is hanging:
            await asyncio.sleep(0.01)
        source.cursor = (2, 0, 0)
        assert (await next_of(follower)).cursor == (2, 0, 0)
    assert "can't check weather for news: TimeoutError: no answer within 0.2 s" in caplog.text


@pytest.mark.gen_test
async def test_an_event_that_does_not_come_keeps_nobody_waiting_for_ever(watch, source, monkeypatch):
    monkeypatch.setattr(watch_module, "SOURCE_PATIENCE", 0.2)
    with watch.follow(60) as follower:
        await follower.begin(None)
        HangingOnce(source, "event")
        source.cursor = (2, 0, 0)
        with pytest.raises(TimeoutError, match="no answer"):
            await next_of(follower)
        assert (await next_of(follower)).cursor == (2, 0, 0)


@pytest.mark.gen_test
async def test_it_ends_when_the_server_drains(watch):
    with watch.follow(60) as follower:
        await follower.begin(None)
        waiting = asyncio.create_task(anext(follower, "the end"))
        await asyncio.sleep(0.01)
        hub.end_subscriptions()
        assert await asyncio.wait_for(waiting, 5) == "the end"
        assert watch.ended


@pytest.mark.gen_test
async def test_it_is_followed_again_when_another_server_begins(watch, source):
    with watch.follow(60) as follower:
        await follower.begin(None)
        hub.end_subscriptions()
        assert await asyncio.wait_for(anext(follower, "the end"), 5) == "the end"
    with watch.follow(60) as follower:
        await follower.begin(None)
        source.cursor = (2, 0, 0)
        assert (await next_of(follower)).cursor == (2, 0, 0)


@pytest.mark.gen_test
async def test_a_foreign_cursor_means_reload(watch):
    with watch.follow(60) as follower:
        await follower.begin((9, 0, 0))
        event = await next_of(follower)
        assert event.cursor == (1, 0, 0)
        assert b"reload" in event.block


@pytest.mark.gen_test
async def test_an_announcement_is_quicker_than_the_next_look(watch, source):
    watch._interval = 60
    hub.open()
    with watch.follow(60) as follower:
        await follower.begin(None)
        await asyncio.sleep(0)  # the watch subscribes
        source.cursor = (2, 0, 0)
        waterspout.publish(TOPIC, {})
        assert (await next_of(follower)).cursor == (2, 0, 0)
    hub.close()


@pytest.mark.gen_test
async def test_followers_at_one_cursor_share_one_event(watch, source):
    made = []
    make = source.event

    async def count(since):
        made.append(since)
        return await make(since)

    source.event = count
    with watch.follow(60) as one, watch.follow(60) as other:
        for follower in (one, other):
            await follower.begin(None)
        source.cursor = (2, 0, 0)
        events = await asyncio.gather(next_of(one), next_of(other))
    assert events[0] is events[1]
    assert made == [(1, 0, 0)]


@pytest.mark.gen_test
async def test_a_hiccup_of_the_source_is_not_what_later_readers_hear_of(watch, source):
    with watch.follow(60) as first:
        await first.begin(None)
        source.cursor = None
        with watch.follow(60) as ahead, pytest.raises(OSError, match="disk"):
            await ahead.begin((9, 0, 0))
        source.cursor = (2, 0, 0)
        await next_of(first)
        with watch.follow(60) as later:
            await later.begin(None)
            assert later.cursor == (2, 0, 0)


@pytest.mark.parametrize("call", ["newest", "event"])
@pytest.mark.gen_test
async def test_something_cancelled_below_the_source_does_not_end_the_watch(watch, source, call):
    whole = getattr(source, call)

    async def cancelled(*arguments):
        setattr(source, call, whole)
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    with watch.follow(60) as follower:
        await follower.begin(None)
        setattr(source, call, cancelled)
        async with asyncio.timeout(10):
            while getattr(source, call) != whole:
                source.cursor = (source.cursor[0] + 1, 0, 0)
                await asyncio.sleep(0.05)
        await next_of(follower)
        source.cursor = newer = (source.cursor[0] + 1, 0, 0)
        assert (await next_of(follower)).cursor == newer
