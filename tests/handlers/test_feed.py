import asyncio
import json
import re
from datetime import UTC, datetime, timedelta

import jinja2
import pytest

from app.settings import TEMPLATES
from app.store.components import add_component, archive_component, move_component, rename_component
from app.store.history import read_version
from app.store.incidents import CHANGES_LISTED, add_incident, add_update, change_components
from app.store.tables import UPDATES_LISTED, Impact, State
from handlers.feed import DAYS_TOLD, Feed
from tests.app.databases import post_incidents
from waterspout.limits import EVENTS_KEPT
from waterspout.native.live import NOTHING, Event, Watch, format_cursor, parse_cursor


@pytest.fixture
def feed(async_store):
    templates = jinja2.Environment(loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True)
    return Feed(async_store, templates)


def parse(event) -> dict:
    """The JSON of a "changes" event."""
    name, cursor, data, *rest = event.block.decode().split("\n")
    assert name == "event: changes"
    assert cursor == f"id: {format_cursor(event.cursor)}"
    assert rest == ["", ""]
    message = json.loads(event.message)
    assert (message["event"], message["cursor"]) == ("changes", format_cursor(event.cursor))
    assert message["data"] == json.loads(data.removeprefix("data: "))
    return message["data"]


def version_of(store) -> tuple[int, ...]:
    return parse_cursor(store.read(read_version))


@pytest.mark.gen_test
async def test_an_event_has_the_markup_of_what_changed(feed, store):
    first, second = post_incidents(store, 2)
    before = version_of(store)
    store.write(add_update, first, State.RESOLVED, "Line one\nLine two")
    event = await feed.event(before)
    assert event.cursor == version_of(store)
    changes = parse(event)
    (incident,) = changes["incidents"]
    assert incident["id"] == first
    assert incident["open"] is False
    assert f'data-incident="{first}"' in incident["html"]
    assert "Line one\nLine two" in incident["html"]
    assert f'data-incident="{second}"' not in incident["html"]
    assert "1 open incident" in changes["parts"]["summary"]


@pytest.mark.gen_test
async def test_an_event_tells_how_every_component_is(feed, store):
    component = store.write(add_component, "Harbour <1>")
    store.write(
        add_incident, "Storm", State.INVESTIGATING, "Wind.", impact=Impact.MAJOR, components=[component.id]
    )
    parts = parse(await feed.event(NOTHING))["parts"]
    assert "Partial outage" in parts[f"condition-{component.id}"]
    assert "Partial outage" in parts[f"days-{component.id}"]
    assert "Affected: <bdi>Harbour &lt;1&gt;</bdi>" in parts["summary"]
    assert "article" not in parts["maintenance"]


def days_of(parts, component) -> list[tuple[str, str]]:
    cells = re.findall(r'data-day="([^"]+)" data-condition="(\w+)"', parts[f"days-{component.id}"])
    assert cells
    return cells


@pytest.mark.gen_test
async def test_an_event_tells_of_today_what_the_page_would(feed, store):
    """What is already over, too, and what has turned out to be nothing."""
    harbour, ferry = (store.write(add_component, name) for name in ("Harbour", "Ferry"))
    before = version_of(store)
    said = {"impact": Impact.MAJOR, "components": [harbour.id, ferry.id]}
    incident = store.write(add_incident, "Storm", State.INVESTIGATING, "Wind.", **said).incident_id
    store.write(add_update, incident, State.RESOLVED, "Calm.")
    parts = parse(await feed.event(before))["parts"]
    today = str(datetime.now(UTC).date())
    assert days_of(parts, harbour) == days_of(parts, ferry) == [(today, "major")]
    before = version_of(store)
    store.write(change_components, incident, [harbour.id])
    parts = parse(await feed.event(before))["parts"]
    assert days_of(parts, ferry) == [(today, "operational")]


@pytest.mark.gen_test
async def test_who_slept_is_told_of_each_day(feed, store):
    harbour = store.write(add_component, "Harbour")
    *rest, today = version_of(store)
    now = datetime.now(UTC)
    moments = (now - timedelta(days=2), now - timedelta(days=2) + timedelta(seconds=1))
    storm = store.write(
        *(add_incident, "Storm", State.INVESTIGATING, "Wind.", moments[0]), components=[harbour.id]
    )
    store.write(add_update, storm.incident_id, State.RESOLVED, "Calm.", moments[1])
    parts = parse(await feed.event((*rest, today - 3)))["parts"]
    days = [str(now.date() - timedelta(days=n)) for n in (3, 2, 1, 0)]
    assert [day for day, _ in days_of(parts, harbour)] == days
    assert days_of(parts, harbour)[1] == (days[1], "minor")


@pytest.mark.parametrize("days", [DAYS_TOLD, 10_000, -1])
@pytest.mark.gen_test
async def test_who_slept_for_too_long_is_told_to_reload(feed, store, days):
    """So is a page from before days were counted this way, which seems to come from the future."""
    store.write(add_component, "Harbour")
    *rest, today = version_of(store)
    post_incidents(store, 1)
    assert await feed.event((*rest, today - days)) == Event.reload(version_of(store))


@pytest.mark.parametrize("days", [0, 2])
@pytest.mark.gen_test
async def test_other_components_of_an_incident_from_before_are_a_reload(feed, store, days):
    """They change on each of its days, but the event tells only of today."""
    first, second = (store.write(add_component, name) for name in ("Harbour", "Ferry"))
    began = datetime.now(UTC) - timedelta(days=days)
    storm = store.write(add_incident, "Storm", State.INVESTIGATING, "Wind.", began, components=[first.id])
    before = version_of(store)
    store.write(change_components, storm.incident_id, [second.id])
    event = await feed.event(before)
    assert (event == Event.reload(version_of(store))) == (days > 0)


@pytest.mark.gen_test
async def test_markup_in_what_people_write_is_escaped(feed, store):
    store.write(add_incident, "<script>alert(1)</script>", State.IDENTIFIED, "</p><img src=x>")
    (incident,) = parse(await feed.event(NOTHING))["incidents"]
    assert "<script" not in incident["html"]
    assert "<img" not in incident["html"]
    assert "&lt;script&gt;" in incident["html"]


@pytest.mark.gen_test
async def test_an_event_never_breaks_a_line(feed, store):
    store.write(add_incident, "Title", State.IDENTIFIED, "a\nb\r\n\u2028data: forged\n\nevent: reload")
    event = await feed.event(NOTHING)
    assert len(event.block.splitlines()) == 4


@pytest.mark.gen_test
async def test_too_many_changes_are_a_reload(feed, store):
    post_incidents(store, CHANGES_LISTED + 1)
    assert await feed.event(NOTHING) == Event.reload(version_of(store))


@pytest.mark.gen_test
async def test_more_updates_of_one_incident_than_an_event_has_are_a_reload(feed, store):
    (incident,) = post_incidents(store, 1)
    before = version_of(store)
    for n in range(UPDATES_LISTED):
        store.write(add_update, incident, State.IDENTIFIED, f"Said {n}.")
    (change,) = parse(await feed.event(before))["incidents"]
    assert all(f"Said {n}." in change["html"] for n in range(UPDATES_LISTED))
    store.write(add_update, incident, State.IDENTIFIED, "And one.")
    assert await feed.event(before) == Event.reload(version_of(store))


@pytest.mark.gen_test
async def test_other_components_names_or_another_order_are_a_reload(feed, store):
    nothing = version_of(store)
    first, second = (store.write(add_component, name).id for name in ("Harbour", "Ferry"))
    assert await feed.event(nothing) == Event.reload(version_of(store))
    for change, *arguments in (
        (add_component, "Bridge"),
        (rename_component, first, "Port"),
        (move_component, second, True),
        (archive_component, first, True),
        (archive_component, first, False),
    ):
        before = version_of(store)
        store.write(change, *arguments)
        assert await feed.event(before) == Event.reload(version_of(store)), change
        post_incidents(store, 1)
        assert await feed.event(before) == Event.reload(version_of(store)), change
        before = version_of(store)
        post_incidents(store, 1)
        assert parse(await feed.event(before))["incidents"]


@pytest.mark.gen_test
async def test_who_names_an_update_alone_has_no_components_to_know_of(feed, store):
    store.write(add_component, "Harbour")
    post_incidents(store, 2)
    (incident,) = parse(await feed.event((1,)))["incidents"]
    assert incident["id"] == 2


class CountingStore:
    """A store that counts how often it was asked, and can be made to fail."""

    def __init__(self, async_store):
        self.async_store = async_store
        self.asked = 0
        self.fails = False

    async def read(self, *arguments):
        self.asked += 1
        await asyncio.sleep(0.01)
        if self.fails:
            raise OSError("disk")
        return await self.async_store.read(*arguments)


@pytest.fixture
def counting_store(feed, async_store):
    feed.store = CountingStore(async_store)
    return feed.store


@pytest.fixture
def watch(feed):
    watch = Watch("incidents", feed)
    watch.learn((1,))
    return watch


@pytest.mark.gen_test
async def test_readers_of_one_update_share_one_reading(watch, store, counting_store):
    post_incidents(store, 1)
    events = await asyncio.gather(*(watch.event(NOTHING) for _ in range(100)))
    assert len({event.block for event in events}) == 1
    assert counting_store.asked == 1


@pytest.mark.gen_test
async def test_a_reader_that_leaves_takes_nothing_from_the_others(watch, store, counting_store):
    post_incidents(store, 1)
    first, second = (asyncio.create_task(watch.event(NOTHING)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).cursor[0] == 1
    assert counting_store.asked == 1


@pytest.mark.gen_test
async def test_a_failure_is_not_kept(watch, store, counting_store):
    post_incidents(store, 1)
    counting_store.fails = True
    with pytest.raises(OSError, match="disk"):
        await watch.event(NOTHING)
    counting_store.fails = False
    assert (await watch.event(NOTHING)).cursor[0] == 1


@pytest.mark.gen_test
async def test_only_so_many_events_are_kept(watch, store):
    post_incidents(store, 1)
    for since in range(EVENTS_KEPT + 5):
        await watch.event((since,))
    assert len(watch._events) == EVENTS_KEPT


@pytest.mark.gen_test
async def test_an_incident_whose_components_were_changed_is_told(feed, store):
    first, _ = post_incidents(store, 2)
    harbour = store.write(add_component, "Harbour")
    before = version_of(store)
    store.write(change_components, first, [harbour.id])
    changes = parse(await feed.event(before))
    (incident,) = changes["incidents"]
    assert incident["id"] == first
    assert "Harbour" in incident["html"]
    assert parse(await feed.event(version_of(store)))["incidents"] == []
