import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

import pytest
from tornado.httputil import HTTPHeaders
from tornado.iostream import IOStream, StreamClosedError
from tornado.tcpclient import TCPClient

import waterspout
from app.store import CHANGES_LISTED, TOPIC, State
from handlers.stream import HEARTBEAT, parse_cursor
from tests.app.databases import post_incidents
from waterspout.hub.local import hub


@dataclass
class Reader:
    """A client of the stream. It speaks HTTP/1.0, so that the body comes as it is, unchunked."""

    stream: IOStream
    status: str
    headers: HTTPHeaders

    async def read_block(self) -> dict[str, str]:
        """Return the next event, or comment, by field name."""
        block = await asyncio.wait_for(self.stream.read_until(b"\n\n"), 5)
        return dict(line.split(": ", 1) for line in block.decode().splitlines() if line)

    async def read_event(self) -> dict[str, str]:
        """Return the next event, past comments."""
        while "event" not in (block := await self.read_block()):
            pass
        return block

    async def read_changes(self) -> tuple[int, list[int]]:
        """Return the cursor of the next event and the ids of the incidents in it."""
        event = await self.read_event()
        assert event["event"] == "changes"
        return int(event["id"]), [incident["id"] for incident in json.loads(event["data"])["incidents"]]

    async def wait_until_following(self) -> None:
        """Return when all that was there at the beginning has been sent: the first heartbeat."""
        assert "" in await self.read_block()


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
    """Wait until the topic has so many subscribers."""
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
        update = store.post_update(incident_id, State.RESOLVED, "Done.")
        announce(update)
        assert await reader.read_changes() == (update.id, [incident_id])


@pytest.mark.gen_test
async def test_announcements_in_any_order_lose_nothing(connect, store):
    """Two threads of Flask commit in one order and announce in the other."""
    first, second = post_incidents(store, 2)
    async with connect() as reader:
        await reader.wait_until_following()
        older = store.post_update(first, State.RESOLVED, "Done.")
        newer = store.post_update(second, State.RESOLVED, "Done.")
        announce(newer)
        announce(older)
        assert await reader.read_changes() == (newer.id, [second, first])
        assert "event" not in await reader.read_block()


@pytest.mark.gen_test
async def test_quiet_times_have_heartbeats(connect):
    async with connect() as reader:
        for _ in range(2):
            assert await reader.read_block() == {"": "still here"}


@pytest.mark.gen_test
async def test_a_new_reader_is_sent_nothing_old(connect, store):
    post_incidents(store, 3)
    async with connect() as reader:
        assert await reader.read_block() == {"": "still here"}


@pytest.mark.gen_test
@pytest.mark.parametrize("way", ["header", "query", "both"])
async def test_who_comes_back_is_sent_what_it_missed(connect, store, way):
    first, _, _ = post_incidents(store, 3)
    cursor = store.cursor()
    missed = store.post_update(first, State.RESOLVED, "Done.")
    headers = {"Last-Event-ID": str(cursor)} if way != "query" else {}
    query = {"header": "", "query": f"?since={cursor}", "both": "?since=1"}[way]
    async with connect(query, **headers) as reader:
        assert await reader.read_changes() == (missed.id, [first])


@pytest.mark.gen_test
async def test_who_missed_too_much_is_told_to_reload(connect, store):
    post_incidents(store, CHANGES_LISTED + 2)
    async with connect("?since=0") as reader:
        event = await reader.read_event()
        assert (event["event"], event["id"]) == ("reload", str(CHANGES_LISTED + 2))


@pytest.mark.gen_test
async def test_a_cursor_of_another_database_means_reload(connect, store):
    post_incidents(store, 1)
    async with connect("?since=4000000000") as reader:
        event = await reader.read_event()
        assert (event["event"], event["id"]) == ("reload", "1")


@pytest.mark.gen_test
async def test_a_slow_reader_is_told_to_reload(connect, store, monkeypatch):
    """Its subscription has lost the oldest messages."""
    monkeypatch.setattr(waterspout, "subscribe", partial(waterspout.subscribe, max_queue=2), raising=False)
    post_incidents(store, 1)
    async with connect() as reader:
        await reader.wait_until_following()
        updates = [store.post_update(1, State.MONITORING, f"More {n}") for n in range(5)]
        for update in updates:
            announce(update)
        event = await reader.read_event()
        assert event["event"] == "reload"
        assert int(event["id"]) >= updates[-2].id


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
    app.settings["feed"].make_event = fail
    async with connect("?since=0") as reader:
        with pytest.raises(StreamClosedError):
            await reader.read_block()
    assert "disk" in caplog.text


@pytest.mark.gen_test
async def test_a_failing_database_at_the_beginning_is_an_error(http_client, base_url, app):
    async def fail():
        raise OSError("disk")

    app.settings["store"].cursor = fail
    response = await http_client.fetch(base_url + "/api/stream", raise_error=False)
    assert response.code == 500
    assert json.loads(response.body) == {"error": "Internal Server Error"}
    await wait_for_subscribers(0)


@pytest.mark.gen_test
async def test_what_is_posted_after_the_first_bytes_is_sent(connect, store):
    async with connect() as reader:
        update = store.post_incident("Storm", State.INVESTIGATING, "Wind.")
        announce(update)
        assert await reader.read_changes() == (update.id, [update.incident_id])


@pytest.mark.gen_test
async def test_other_methods_are_refused(http_client, base_url):
    for method in ("HEAD", "DELETE"):
        response = await http_client.fetch(base_url + "/api/stream", method=method, raise_error=False)
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
    update = store.post_update(incident_id, State.RESOLVED, "Done.")
    announce(update)
    assert await asyncio.gather(*readers) == [(update.id, [incident_id])] * 50


@pytest.mark.parametrize(
    ("text", "cursor"),
    [("0", 0), ("17", 17), ("", 5), ("x", 5), ("-1", 5), ("1 ", 5), ("٣", 5), ("9" * 5000, 5)],
)
def test_a_cursor_is_a_number_or_nothing(text, cursor):
    assert parse_cursor(text, 5) == cursor


def test_a_heartbeat_comes_every_fifteen_seconds():
    assert HEARTBEAT == 15
