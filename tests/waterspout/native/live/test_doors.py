"""Stream, long-poll and WebSocket of a small source: the one that docs/native.md shows."""

import asyncio
import json
import re
from pathlib import Path

import pytest
from tornado.websocket import websocket_connect

import waterspout

DOCUMENT = Path(__file__).parents[4] / "docs" / "native.md"


@pytest.fixture
def example():
    """What the document's example defines."""
    blocks = re.findall(r"```python\n(import waterspout\n.*?)```", DOCUMENT.read_text(), re.S)
    (code,) = [block for block in blocks if "Watch(" in block]
    names = {}
    exec(code, names)
    return names


@pytest.fixture
def app(io_loop, example):
    yield example["app"]
    io_loop.run_sync(example["app"].stop)


@pytest.fixture
def score(app, example):
    app.settings["patience"] = 0.2

    def change(points):
        example["score"].points = points
        example["score"].changes += 1
        waterspout.publish("score", {})

    return change


@pytest.mark.gen_test
async def test_a_stream_brings_what_was_missed_and_what_comes(app, score, http_client, base_url):
    await app.start()
    score(3)
    received, arrived = [], asyncio.Event()

    def receive(chunk):
        received.append(chunk.decode())
        arrived.set()

    stream = http_client.fetch(base_url + "/stream?since=0", streaming_callback=receive, request_timeout=5)
    async with asyncio.timeout(5):
        for points in (3, 4):
            while f'{{"points": {points}}}' not in "".join(received):
                arrived.clear()
                await arrived.wait()
            if points == 3:
                score(4)
    await app.stop()
    assert "event: beat" in "".join(received)
    assert 'event: score\nid: 2\ndata: {"points": 4}\n\n' in "".join(received)
    assert (await stream).code == 200


@pytest.mark.gen_test
async def test_a_long_poll_waits_and_says_where_to_go_on(app, score, http_client, base_url):
    await app.start()

    async def poll(cursor):
        return json.loads((await http_client.fetch(f"{base_url}/poll?since={cursor}")).body)

    assert await poll(0) == {"cursor": "0", "events": []}
    waiting = asyncio.create_task(poll(0))
    await asyncio.sleep(0.05)
    score(7)
    event = {"event": "score", "cursor": "1", "data": {"points": 7}}
    assert await waiting == {"cursor": "1", "events": [event]}
    assert (await poll(99))["events"][0]["event"] == "reload"


@pytest.mark.gen_test
async def test_a_socket_speaks_the_same(app, score, http_server, http_port):
    await app.start()
    socket = await websocket_connect(f"ws://127.0.0.1:{http_port}/ws?since=0")
    score(1)
    message = json.loads(await asyncio.wait_for(socket.read_message(), 5))
    assert message == {"event": "score", "cursor": "1", "data": {"points": 1}}
    socket.close()


@pytest.mark.gen_test
async def test_when_no_place_is_left_the_client_is_told_when_to_come_back(app, http_client, base_url):
    app.settings["watch"]._limit = 0
    refused = await http_client.fetch(base_url + "/stream", raise_error=False)
    assert (refused.code, refused.headers["Retry-After"]) == (503, "10")


@pytest.mark.parametrize("heartbeat", [0, None])
@pytest.mark.gen_test
async def test_without_a_heartbeat_a_stream_is_quiet_and_lives(app, score, http_client, base_url, heartbeat):
    app.settings["heartbeat"] = heartbeat
    await app.start()
    received, arrived = [], asyncio.Event()

    def receive(chunk):
        received.append(chunk.decode())
        arrived.set()

    stream = http_client.fetch(base_url + "/stream", streaming_callback=receive, request_timeout=5)
    async with asyncio.timeout(5):
        await arrived.wait()
        await asyncio.sleep(0.2)
        score(7)
        while '{"points": 7}' not in "".join(received):
            arrived.clear()
            await arrived.wait()
    assert "".join(received).count("event: beat") == 1  # the first, which opens the stream
    await app.stop()
    await stream


@pytest.mark.parametrize("door", ["/stream", "/poll", "/ws"])
@pytest.mark.gen_test
async def test_what_is_no_text_is_400(app, http_client, base_url, door):
    upgrade = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    headers = upgrade if door == "/ws" else {}
    reply = await http_client.fetch(f"{base_url}{door}?since=%ff", headers=headers, raise_error=False)
    assert reply.code == 400
