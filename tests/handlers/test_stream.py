import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from tornado.httputil import HTTPHeaders
from tornado.iostream import IOStream, StreamClosedError
from tornado.tcpclient import TCPClient

import waterspout
from app.store import TOPIC
from app.store.components import add_component
from app.store.history import read_version
from app.store.incidents import CHANGES_LISTED, add_incident, add_update, read_cursor
from app.store.maintenance import add_maintenance
from app.store.tables import State
from tests.app.databases import post_incidents
from waterspout.hub.local import hub
from waterspout.limits import HEARTBEAT

BEAT = {"event": "beat", "data": "{}"}


def update_of(event: dict[str, str]) -> int:
    """The newest update's id in the cursor of an event."""
    return int(event["id"].split(".")[0])


@dataclass
class Reader:
    """A client of the stream. It speaks HTTP/1.0, so that the body comes as it is, unchunked."""

    stream: IOStream
    status: str
    headers: HTTPHeaders

    async def read_block(self) -> dict[str, str]:
        """Return the next event, or beat, by field name."""
        block = await asyncio.wait_for(self.stream.read_until(b"\n\n"), 5)
        return dict(line.split(": ", 1) for line in block.decode().splitlines() if line)

    async def read_event(self) -> dict[str, str]:
        """Return the next event, skipping beats."""
        while (block := await self.read_block())["event"] == "beat":
            pass
        return block

    async def read_changes(self) -> tuple[int, list[int]]:
        """Return the cursor of the next event and the ids of the incidents in it."""
        event = await self.read_event()
        assert event["event"] == "changes"
        return update_of(event), [incident["id"] for incident in json.loads(event["data"])["incidents"]]

    async def wait_until_following(self) -> None:
        """Return when all that was there at the beginning has been sent: at the first heartbeat."""
        assert await self.read_block() == BEAT


@pytest.fixture
def connect(http_server, http_port):
    @asynccontextmanager
    async def connect(query="", **headers):
        stream = await TCPClient().connect("127.0.0.1", http_port)
        lines = [f"GET /api/stream{query} HTTP/1.0", *(f"{name}: {value}" for name, value in headers.items())]
        await stream.write("\r\n".join([*lines, "", ""]).encode())
        head = (await asyncio.wait_for(stream.read_until(b"\r\n\r\n"), 5)).decode()
        status, _, rest = head.partition("\r\n")
        reader = Reader(stream, status, HTTPHeaders.parse(rest))
        assert "retry" in await reader.read_block()
        try:
            yield reader
        finally:
            stream.close()

    return connect


def announce(update):
    waterspout.publish(TOPIC, {"incident": update.incident_id, "update": update.id})


async def wait_for_subscribers(count):
    """Wait until the topic has `count` subscribers."""
    for _ in range(200):
        if len(hub._topics.get(TOPIC, ())) == count:
            return
        await asyncio.sleep(0.01)
    pytest.fail(f"{len(hub._topics.get(TOPIC, ()))} subscribers, not {count}")


@pytest.mark.gen_test
async def test_it_begins_at_once(connect):
    async with connect() as reader:
        assert reader.status == "HTTP/1.1 200 OK"
        assert reader.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        assert reader.headers["Cache-Control"] == "no-store"
        assert reader.headers["X-Accel-Buffering"] == "no"


@pytest.mark.gen_test
async def test_an_update_is_sent_when_it_is_announced(connect, store):
    (incident_id,) = post_incidents(store, 1)
    async with connect() as reader:
        await reader.wait_until_following()
        update = store.write(add_update, incident_id, State.RESOLVED, "Done.")
        announce(update)
        assert await reader.read_changes() == (update.id, [incident_id])


@pytest.mark.gen_test
async def test_announcements_in_any_order_lose_nothing(connect, store):
    """Two threads of Flask commit in one order and announce in the other."""
    first, second = post_incidents(store, 2)
    async with connect() as reader:
        await reader.wait_until_following()
        older = store.write(add_update, first, State.RESOLVED, "Done.")
        newer = store.write(add_update, second, State.RESOLVED, "Done.")
        announce(newer)
        announce(older)
        assert await reader.read_changes() == (newer.id, [second, first])
        assert await reader.read_block() == BEAT


@pytest.mark.gen_test
async def test_quiet_times_have_heartbeats(connect):
    async with connect() as reader:
        for _ in range(2):
            assert await reader.read_block() == BEAT


@pytest.mark.gen_test
async def test_a_new_reader_is_sent_nothing_old(connect, store):
    post_incidents(store, 3)
    async with connect() as reader:
        assert await reader.read_block() == BEAT


@pytest.mark.gen_test
@pytest.mark.parametrize("way", ["header", "query", "both"])
async def test_who_comes_back_is_sent_what_it_missed(connect, store, way):
    first, _, _ = post_incidents(store, 3)
    cursor = store.read(read_cursor)
    missed = store.write(add_update, first, State.RESOLVED, "Done.")
    headers = {"Last-Event-ID": str(cursor)} if way != "query" else {}
    query = {"header": "", "query": f"?since={cursor}", "both": "?since=1"}[way]
    async with connect(query, **headers) as reader:
        assert await reader.read_changes() == (missed.id, [first])


@pytest.mark.gen_test
async def test_who_missed_too_much_is_told_to_reload(connect, store):
    post_incidents(store, CHANGES_LISTED + 2)
    async with connect("?since=0") as reader:
        event = await reader.read_event()
        assert (event["event"], update_of(event)) == ("reload", CHANGES_LISTED + 2)


@pytest.mark.gen_test
async def test_a_cursor_of_another_database_means_reload(connect, store):
    post_incidents(store, 1)
    async with connect("?since=4000000000") as reader:
        event = await reader.read_event()
        assert (event["event"], update_of(event)) == ("reload", 1)


@pytest.mark.gen_test
async def test_what_nobody_announced_is_found(connect, store):
    """The process that posted it was killed before it could announce it, or runs on another machine."""
    (incident_id,) = post_incidents(store, 1)
    async with connect() as reader:
        await reader.wait_until_following()
        update = store.write(add_update, incident_id, State.RESOLVED, "Done.")
        assert await reader.read_changes() == (update.id, [incident_id])


@pytest.mark.gen_test
async def test_what_is_no_update_is_told_too(connect, store):
    component, now = store.write(add_component, "Harbour"), datetime.now(UTC)
    async with connect() as reader:
        await reader.wait_until_following()
        store.write(
            add_maintenance, "Dredging", "Wait.", now, now + timedelta(hours=1), components=[component.id]
        )
        event = await reader.read_event()
        parts = json.loads(event["data"])["parts"]
        assert "Under maintenance" in parts[f"condition-{component.id}"]


@pytest.mark.gen_test
async def test_another_component_is_a_page_to_load_again(connect, store):
    async with connect() as reader:
        await reader.wait_until_following()
        store.write(add_component, "Harbour")
        assert (await reader.read_event())["event"] == "reload"


@pytest.mark.gen_test
async def test_a_page_that_is_a_moment_ahead_is_no_foreign_one(connect, store):
    """Its page was made with an update that the native side has not heard of."""
    (first,) = post_incidents(store, 1)
    async with connect() as other:
        await other.wait_until_following()
        store.write(add_update, first, State.MONITORING, "Better.")
        async with connect(f"?since={store.read(read_version)}") as reader:
            assert await reader.read_block() == BEAT


@pytest.mark.gen_test
async def test_one_reader_more_than_there_may_be_is_refused(app, http_client, base_url, connect):
    app.settings["watch"]._limit = 1
    async with connect():
        refused = await http_client.fetch(base_url + "/api/stream", raise_error=False)
    assert refused.code == 503
    assert refused.headers["Retry-After"] == "10"


@pytest.mark.gen_test
async def test_it_ends_at_once_when_the_client_goes(connect, app):
    await app.start()
    async with connect() as reader:
        await wait_for_subscribers(1)
        reader.stream.close()
        await wait_for_subscribers(0)


@pytest.mark.gen_test
async def test_it_ends_when_the_server_drains(connect):
    async with connect() as reader:
        await reader.wait_until_following()
        hub.end_subscriptions()
        with pytest.raises(StreamClosedError):
            while True:
                await reader.read_block()


@pytest.mark.gen_test
async def test_a_failing_database_cuts_the_stream_and_the_reader_comes_back(connect, store, app, caplog):
    async def fail(since):
        raise OSError("disk")

    post_incidents(store, 1)
    app.settings["watch"].source.event = fail
    async with connect("?since=0") as reader:
        with pytest.raises(StreamClosedError):
            await reader.read_block()
    assert "disk" in caplog.text


@pytest.mark.gen_test
async def test_a_failing_database_at_the_beginning_is_an_error(http_client, base_url, app):
    async def fail():
        raise OSError("disk")

    app.settings["watch"].source.newest = fail
    response = await http_client.fetch(base_url + "/api/stream", raise_error=False)
    assert response.code == 500
    assert json.loads(response.body) == {"error": "Internal Server Error"}
    await wait_for_subscribers(0)


@pytest.mark.gen_test
async def test_what_is_posted_after_the_first_bytes_is_sent(connect, store):
    async with connect() as reader:
        update = store.write(add_incident, "Storm", State.INVESTIGATING, "Wind.")
        announce(update)
        assert await reader.read_changes() == (update.id, [update.incident_id])


@pytest.mark.gen_test
async def test_head_is_answered_and_follows_nothing(http_client, base_url):
    response = await http_client.fetch(base_url + "/api/stream", method="HEAD")
    assert (response.code, response.body) == (200, b"")
    assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    await wait_for_subscribers(0)


@pytest.mark.gen_test
async def test_other_methods_are_refused(http_client, base_url):
    response = await http_client.fetch(base_url + "/api/stream", method="DELETE", raise_error=False)
    assert response.code == 405
    await wait_for_subscribers(0)


@pytest.mark.gen_test
async def test_many_readers_hear_of_an_update(connect, store):
    (incident_id,) = post_incidents(store, 1)

    async def read(ready):
        async with connect() as reader:
            await reader.wait_until_following()
            ready.release()
            return await reader.read_changes()

    ready = asyncio.Semaphore(0)
    readers = [asyncio.create_task(read(ready)) for _ in range(50)]
    for _ in readers:
        await ready.acquire()
    update = store.write(add_update, incident_id, State.RESOLVED, "Done.")
    announce(update)
    assert await asyncio.gather(*readers) == [(update.id, [incident_id])] * 50


def test_a_heartbeat_comes_every_fifteen_seconds():
    assert HEARTBEAT == 15
