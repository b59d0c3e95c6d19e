import asyncio
import json
from contextlib import asynccontextmanager

import pytest
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.websocket import websocket_connect

import waterspout
from app.store import TOPIC
from app.store.incidents import add_update
from app.store.tables import State
from tests.app.databases import post_incidents
from waterspout.hub.local import hub


@pytest.fixture
def connect(http_server, http_port):
    @asynccontextmanager
    async def connect(query="", **headers):
        url = f"ws://127.0.0.1:{http_port}/api/ws{query}"
        socket = await websocket_connect(HTTPRequest(url, headers=headers))
        try:
            yield socket
        finally:
            socket.close()

    return connect


async def read(socket):
    message = await asyncio.wait_for(socket.read_message(), 5)
    return message and json.loads(message)


@pytest.mark.gen_test
async def test_the_events_of_the_stream_come_as_messages(connect, store):
    first, _ = post_incidents(store, 2)
    async with connect("?since=1") as socket:
        assert (await read(socket))["data"]["incidents"][0]["id"] == 2
        update = store.write(add_update, first, State.RESOLVED, "Done.")
        waterspout.publish(TOPIC, {"update": update.id})
        message = await read(socket)
        assert message["event"] == "changes"
        assert message["cursor"].startswith(f"{update.id}.")
        assert [incident["id"] for incident in message["data"]["incidents"]] == [first]


@pytest.mark.gen_test
@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1.evil.example", "http://x.127.0.0.1"]
)
async def test_pages_of_other_sites_are_refused(connect, origin):
    with pytest.raises(HTTPClientError) as refused:
        async with connect(Origin=origin):
            pass
    assert refused.value.code == 403


@pytest.mark.gen_test
async def test_its_own_pages_are_welcome(connect, store, http_port):
    post_incidents(store, 1)
    async with connect("?since=0", Origin=f"http://127.0.0.1:{http_port}") as socket:
        assert (await read(socket))["event"] == "changes"


@pytest.mark.gen_test
async def test_one_more_than_there_may_be_is_told_to_come_later(connect, app):
    app.settings["watch"]._limit = 0
    async with connect() as socket:
        assert await read(socket) is None
        assert socket.close_code == 1013


@pytest.mark.gen_test
async def test_a_long_message_ends_it(connect):
    async with connect() as socket:
        await socket.write_message("hello")
        await socket.write_message("x" * 2000)
        assert await read(socket) is None
        assert socket.close_code == 1009


@pytest.mark.gen_test
async def test_a_failing_database_ends_it(connect, app, caplog):
    async def fail():
        raise OSError("disk")

    app.settings["watch"].source.newest = fail
    async with connect() as socket:
        assert await read(socket) is None
        assert socket.close_code == 1011
        assert "disk" in caplog.text


@pytest.mark.gen_test
async def test_who_leaves_frees_its_place(connect, app):
    async with connect() as socket:
        async with asyncio.timeout(5):
            while not app.settings["watch"]._followers:
                await asyncio.sleep(0.01)
            socket.close()
            while app.settings["watch"]._followers:
                await asyncio.sleep(0.01)


@pytest.mark.gen_test
async def test_it_ends_when_the_server_drains(connect, app):
    async with connect() as socket:
        async with asyncio.timeout(5):
            while not app.settings["watch"]._followers:
                await asyncio.sleep(0.01)
        app.close_sockets()
        hub.end_subscriptions()
        assert await read(socket) is None
        assert socket.close_code == 1001
