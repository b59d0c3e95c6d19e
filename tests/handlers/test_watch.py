import asyncio

import pytest

import waterspout
from app.store import TOPIC, State
from handlers.feed import Event
from handlers.watch import WOKEN_AT_ONCE, TooManyFollowers, Watch
from tests.app.databases import post_incidents
from waterspout.hub.local import hub


class FakeStore:
    """A store whose version the test sets; or which fails."""

    def __init__(self):
        self.newest = "1.0.0"
        self.asked = 0

    async def version(self):
        self.asked += 1
        await asyncio.sleep(0)
        if self.newest is None:
            raise OSError("disk")
        return self.newest


class FakeFeed:
    """Events that bring the reader to what was announced."""

    async def event(self, since, announced):
        return Event(announced, b"", "")


@pytest.fixture
def fake_store():
    return FakeStore()


@pytest.fixture
def watch(fake_store):
    return Watch(fake_store, FakeFeed(), limit=300, interval=0.05)


def next_of(follower):
    return asyncio.wait_for(anext(follower), 5)


@pytest.mark.gen_test
async def test_a_follower_hears_of_a_new_version(watch, fake_store):
    with watch.follow(60) as follower:
        await follower.begin(None)
        fake_store.newest = "2.0.0"
        assert (await next_of(follower)).version == (2, 0, 0)


@pytest.mark.gen_test
async def test_it_hears_nothing_when_its_patience_ends(watch):
    with watch.follow(0.1) as follower:
        await follower.begin(None)
        assert await next_of(follower) is None


@pytest.mark.gen_test
async def test_however_many_follow_one_asks(fake_store):
    watch = Watch(fake_store, FakeFeed(), limit=300, interval=60)
    with watch.follow(60) as first:
        await first.begin(None)
        asked = fake_store.asked
        followers = []
        for _ in range(50):
            context = watch.follow(60)
            followers.append((context, context.__enter__()))
        await asyncio.gather(*(follower.begin(None) for _, follower in followers))
        assert fake_store.asked - asked <= 2
        for context, _ in followers:
            context.__exit__(None, None, None)


@pytest.mark.gen_test
async def test_all_hear_and_others_get_their_turn_between(watch, fake_store):
    contexts = [watch.follow(60) for _ in range(2 * WOKEN_AT_ONCE + 1)]
    followers = [context.__enter__() for context in contexts]
    for follower in followers:
        await follower.begin(None)
    tasks = [asyncio.create_task(next_of(follower)) for follower in followers]
    await asyncio.sleep(0.1)
    fake_store.newest = "2.0.0"
    done_at_a_turn = []
    while not all(task.done() for task in tasks):
        await asyncio.sleep(0)
        done_at_a_turn.append(sum(task.done() for task in tasks))
    assert any(0 < count < len(tasks) for count in done_at_a_turn)
    assert {task.result().version for task in tasks} == {(2, 0, 0)}
    for context in contexts:
        context.__exit__(None, None, None)


@pytest.mark.gen_test
async def test_what_is_learned_while_others_are_woken_is_spread_too(watch, fake_store, monkeypatch):
    """By a reader who came in between, for example, and looked for itself."""
    wake_all = watch._wake_all

    async def wake_all_and_learn():
        await wake_all()
        await asyncio.sleep(0.05)  # those who were woken wait again
        if watch.newest == (2, 0, 0):
            fake_store.newest = "3.0.0"
            watch.learn((3, 0, 0))

    monkeypatch.setattr(watch, "_wake_all", wake_all_and_learn)
    with watch.follow(60) as follower:
        await follower.begin(None)
        await asyncio.sleep(0.1)
        fake_store.newest = "2.0.0"
        assert (await next_of(follower)).version == (2, 0, 0)
        assert (await next_of(follower)).version == (3, 0, 0)


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


@pytest.mark.gen_test
async def test_without_followers_nobody_asks(watch, fake_store):
    with watch.follow(60) as follower:
        await follower.begin(None)
    asked = fake_store.asked
    await asyncio.sleep(0.2)
    assert fake_store.asked == asked
    assert not hub._topics.get(TOPIC)


@pytest.mark.gen_test
async def test_a_failing_database_is_told_and_tried_again(watch, fake_store, caplog):
    with watch.follow(60) as follower:
        await follower.begin(None)
        fake_store.newest = None
        while "disk" not in caplog.text:
            await asyncio.sleep(0.01)
        fake_store.newest = "2.0.0"
        assert (await next_of(follower)).version == (2, 0, 0)
    assert "disk" in caplog.text


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
async def test_a_foreign_cursor_means_reload(watch):
    with watch.follow(60) as follower:
        await follower.begin((9, 0, 0))
        event = await next_of(follower)
        assert event.version == (1, 0, 0)
        assert b"reload" in event.block


@pytest.mark.gen_test
async def test_an_announcement_is_quicker_than_the_next_look(async_store, store, app):
    watch = app.settings["watch"]
    watch._interval = 60
    (incident_id,) = post_incidents(store, 1)
    await app.start()
    with watch.follow(60) as follower:
        await follower.begin(None)
        update = store.post_update(incident_id, State.RESOLVED, "Done.")
        waterspout.publish(TOPIC, {"update": update.id})
        assert (await next_of(follower)).version[0] == update.id
