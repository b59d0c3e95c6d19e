import asyncio
import json

import jinja2
import pytest

from app.settings import TEMPLATES
from app.store import CHANGES_LISTED, State
from handlers import feed as feed_module
from handlers.feed import Feed, reload_event, serialize_event
from tests.app.databases import post_incidents


@pytest.fixture
def feed(async_store):
    templates = jinja2.Environment(loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True)
    return Feed(async_store, templates)


def parse(event) -> dict:
    """The JSON of a "changes" event."""
    name, cursor, data, *rest = event.data.decode().split("\n")
    assert name == "event: changes"
    assert cursor == f"id: {event.cursor}"
    assert rest == ["", ""]
    return json.loads(data.removeprefix("data: "))


def test_an_event_is_lines_and_an_empty_one():
    assert serialize_event("changes", 7, '{"a": 1}') == b'event: changes\nid: 7\ndata: {"a": 1}\n\n'


def test_a_reload_moves_the_cursor():
    assert reload_event(9).cursor == 9
    assert reload_event(9).data == b"event: reload\nid: 9\ndata: {}\n\n"


@pytest.mark.gen_test
async def test_an_event_has_the_markup_of_what_changed(feed, store):
    first, second = post_incidents(store, 2)
    cursor = store.cursor()
    update = store.post_update(first, State.RESOLVED, "Line one\nLine two")
    event = await feed.event(cursor, update.id)
    assert event.cursor == update.id
    changes = parse(event)
    (incident,) = changes["incidents"]
    assert incident["id"] == first
    assert incident["open"] is False
    assert f'data-incident="{first}"' in incident["html"]
    assert "Line one\nLine two" in incident["html"]
    assert f'data-incident="{second}"' not in incident["html"]
    assert "1 open incident" in changes["summary"]


@pytest.mark.gen_test
async def test_markup_in_what_people_write_is_escaped(feed, store):
    update = store.post_incident("<script>alert(1)</script>", State.IDENTIFIED, "</p><img src=x>")
    (incident,) = parse(await feed.event(0, update.id))["incidents"]
    assert "<script" not in incident["html"]
    assert "<img" not in incident["html"]
    assert "&lt;script&gt;" in incident["html"]


@pytest.mark.gen_test
async def test_an_event_never_breaks_a_line(feed, store):
    update = store.post_incident("Title", State.IDENTIFIED, "a\nb\r\n\u2028data: forged\n\nevent: reload")
    event = await feed.event(0, update.id)
    assert len(event.data.splitlines()) == 4


@pytest.mark.gen_test
async def test_too_many_changes_are_a_reload(feed, store):
    post_incidents(store, CHANGES_LISTED + 1)
    assert await feed.event(0, store.cursor()) == reload_event(store.cursor())


class CountingStore:
    """A store that says how often it was asked, and can be made to fail."""

    def __init__(self, async_store):
        self.async_store = async_store
        self.asked = 0
        self.fails = False

    async def changes(self, since):
        self.asked += 1
        await asyncio.sleep(0.01)
        if self.fails:
            raise OSError("disk")
        return await self.async_store.changes(since)


@pytest.fixture
def counting_store(feed, async_store):
    counting_store = CountingStore(async_store)
    feed._store = counting_store
    return counting_store


@pytest.mark.gen_test
async def test_readers_of_one_update_share_one_reading(feed, store, counting_store):
    post_incidents(store, 1)
    events = await asyncio.gather(*(feed.event(0, 1) for _ in range(100)))
    assert len({event.data for event in events}) == 1
    assert counting_store.asked == 1


@pytest.mark.gen_test
async def test_a_reader_that_leaves_takes_nothing_from_the_others(feed, store, counting_store):
    post_incidents(store, 1)
    first, second = (asyncio.create_task(feed.event(0, 1)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).cursor == 1
    assert counting_store.asked == 1


@pytest.mark.gen_test
async def test_a_failure_is_not_kept(feed, store, counting_store):
    post_incidents(store, 1)
    counting_store.fails = True
    with pytest.raises(OSError, match="disk"):
        await feed.event(0, 1)
    counting_store.fails = False
    assert (await feed.event(0, 1)).cursor == 1


@pytest.mark.gen_test
async def test_only_so_many_events_are_kept(feed, store, monkeypatch):
    monkeypatch.setattr(feed_module, "EVENTS_KEPT", 3)
    post_incidents(store, 1)
    for since in range(10):
        await feed.event(since, 100)
    assert len(feed._events) == 3
