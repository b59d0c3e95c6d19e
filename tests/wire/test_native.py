"""Native routes come first, and live beside the WSGI app without disturbing it."""

import asyncio

import pytest
from tornado.websocket import websocket_connect

from tests.server import ON_TORNADO, new_id

SERVE = (
    *("--native", "tests.apps.natives:routes", "--wsgi", "tests.apps.working:app"),
    *("--wsgi-threads", "1"),
)


def test_native_routes_come_first_and_the_rest_goes_to_wsgi(server):
    assert server.get("/native/ping").text == "pong"
    assert server.get("/native/none").text == "missing"
    server.canary()


def test_both_sides_share_one_connection(server):
    with server.connect() as connection:
        for _ in range(5):
            assert connection.ask("GET", "/native/ping").text == "pong"
            server.canary(connection)


def test_native_routes_answer_while_every_lane_is_busy(server):
    ident = new_id()
    with server.connect() as connection:
        connection.send_request("GET", f"/gated?id={ident}")
        server.wait_for_note("ran", ident)
        for _ in range(20):
            assert server.get("/native/ping").text == "pong"
        server.open_gate(ident)
        assert connection.reply().status == 200


def test_a_websocket_echoes_beside_wsgi_requests(server):
    async def talk():
        websocket = await websocket_connect(f"ws://127.0.0.1:{server.port}/native/ws")
        for text in ("one", "two"):
            await websocket.write_message(text)
            assert await websocket.read_message() == f"heard {text}"
            await asyncio.to_thread(server.canary)
        websocket.close()
        assert await websocket.read_message() is None

    asyncio.run(asyncio.wait_for(talk(), 10))


def test_an_upgrade_that_no_native_route_takes_reaches_the_app_as_a_request(server):
    headers = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Version", "13")]
    with server.connect() as connection:
        assert (
            connection.ask("GET", "/quick", [*headers, ("Sec-WebSocket-Key", "x" * 22 + "==")]).status == 200
        )
        server.canary(connection)


@pytest.mark.parametrize("body", [None, b"x" * 300_000])
def test_a_native_error_leaves_the_lanes_alone(server, body):
    reply = server.ask("GET", "/native/raises", body=body)
    assert reply.status == 500
    assert b"secret" not in reply.body


@pytest.mark.skipif(ON_TORNADO, reason="its server closes it without a word: docs/behaviour.md")
@pytest.mark.parametrize(("method", "body"), [("GET", None), ("PUT", b""), ("PUT", b"x" * 100_000)])
def test_a_streaming_handler_that_answers_early_says_that_its_reply_is_the_last(server, method, body):
    """RFC 9112 section 9.6: else a client sends its next request into a closed connection."""
    with server.connect() as connection:
        reply = connection.ask(method, "/native/refuses", body=body)
        assert (reply.status, reply.text, reply.header("Connection")) == (403, "no", "close")
        assert connection.everything() == b""


@pytest.mark.parametrize(("query", "framing"), [("", (None, "7")), ("?flushes=yes", ("chunked", None))])
def test_a_transfer_encoding_of_a_handler_is_dropped(server, query, framing):
    """RFC 9112 section 6.2: beside a Content-Length it would say that a body is chunked which is not."""
    with server.connect() as connection:
        for _ in range(2):
            reply = connection.ask("GET", f"/native/relays{query}")
            assert (reply.status, reply.text) == (200, "relayed")
            assert (reply.header("Transfer-Encoding"), reply.header("Content-Length")) == framing
        server.canary(connection)


def test_a_dropped_transfer_encoding_is_logged_once(start_server):
    server = start_server(*SERVE)
    for _ in range(3):
        server.get("/native/relays")
    server.canary()
    [line] = [line for line in server.log.splitlines() if "Transfer-Encoding" in line]
    assert line.endswith(
        "WARNING waterspout.native.transform GET /native/relays: the handler sets Transfer-Encoding, "
        "which is up to the server: dropped (logged once)"
    )
