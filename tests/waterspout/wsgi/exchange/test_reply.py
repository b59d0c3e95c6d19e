"""A reply on its way to the client, through Tornado's own server: what it looks like, and how it ends."""

import asyncio

import pytest
from tornado.httputil import HTTPMessageDelegate, HTTPServerConnectionDelegate

from tests.waterspout.clients import open_client
from waterspout.message.record import Record
from waterspout.wsgi.exchange.reply import Reply
from waterspout.wsgi.frames import build_reply

pytestmark = pytest.mark.gen_test(timeout=20)

OK = build_reply(200, "OK", [("X-Case", "kept")])


def sized(size, status=200):
    return build_reply(status, "OK", [("Content-Length", str(size))])


class Replies(HTTPServerConnectionDelegate):
    """Every request is handed to the test as a Reply. `closed`: how many clients have left."""

    def __init__(self):
        self.replies = asyncio.Queue()
        self.closed = 0

    def start_request(self, server_conn, request_conn):
        return OneReply(self, request_conn)


class OneReply(HTTPMessageDelegate):
    def __init__(self, replies, connection):
        self.replies = replies
        self.connection = connection

    def headers_received(self, start_line, headers):
        record = Record("wsgi", start_line.method, start_line.path, "192.0.2.7", "id-1")
        reply = Reply(self.connection, start_line.version, headers, record)
        reply.record = record
        self.replies.replies.put_nowait(reply)

    def finish(self):
        self.connection.set_close_callback(self.on_connection_close)

    def on_connection_close(self):
        self.replies.closed += 1


@pytest.fixture
def app():
    return Replies()


@pytest.fixture
def open_reply(app, http_server, http_port):
    """Send a request: its client, and the reply to it, for the test to write."""
    clients = []

    async def open_reply(line="GET / HTTP/1.1", *headers, body=b""):
        client = await open_client(http_port)
        clients.append(client)
        await client.send(line, "Host: x", *headers, body=body)
        return client, await asyncio.wait_for(app.replies.get(), 5)

    yield open_reply
    for client in clients:
        client.stream.close()


async def test_a_head_goes_out_as_the_app_wrote_it(open_reply):
    client, reply = await open_reply()
    headers = [("ETag", '"1"'), ("x-lower", "caf\xe9"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]
    reply.begin(build_reply(418, "I'm a teapot", [*headers, ("Content-Length", "0")]), b"")
    reply.finish()
    status, found = await client.read_head()
    assert status == "HTTP/1.1 418 I'm a teapot"
    assert found[:4] == headers


@pytest.mark.parametrize(("reason", "sent"), [("", ""), ("caf\xe9", "caf?"), ("\x85", "?")])
async def test_a_reason_is_ascii_on_the_wire(open_reply, reason, sent):
    client, reply = await open_reply()
    reply.begin(build_reply(200, reason, [("Content-Length", "0")]), b"")
    reply.finish()
    assert (await client.read_head())[0] == f"HTTP/1.1 200 {sent}"


async def test_a_body_of_known_length_is_sent_as_it_comes(open_reply):
    client, reply = await open_reply()
    reply.begin(sized(6), b"one")
    assert reply.begun
    assert not reply.finished
    await client.read_head()
    assert await client.read_bytes(3) == b"one"
    reply.write(b"two")
    reply.finish()
    assert await client.read_bytes(3) == b"two"
    assert reply.finished
    assert (reply.record.status, reply.record.bytes_sent) == (200, 6)


async def test_a_body_of_unknown_length_is_chunked(open_reply):
    client, reply = await open_reply()
    reply.begin(OK, b"one")
    reply.write(b"two")
    reply.finish()
    _, headers = await client.read_head()
    assert ("Transfer-Encoding", "chunked") in headers
    assert await client.read_bytes(21) == b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"


async def test_a_connection_is_used_again(open_reply, app):
    client, reply = await open_reply()
    for _ in range(3):
        reply.begin(sized(2), b"ok")
        reply.finish()
        assert (await client.read_reply())[2] == b"ok"
        await client.send("GET / HTTP/1.1", "Host: x")
        reply = await asyncio.wait_for(app.replies.get(), 5)


@pytest.mark.parametrize("headers", [(), ("Connection: keep-alive",)])
async def test_for_http_1_0_the_end_of_the_connection_is_the_end_of_the_reply(open_reply, headers):
    client, reply = await open_reply("GET / HTTP/1.0", *headers)
    reply.begin(OK, b"one ")
    reply.write(b"two")
    reply.finish()
    _, found = await client.read_head()
    names = {name.lower(): value.lower() for name, value in found}
    assert "transfer-encoding" not in names
    assert names.get("connection", "close") == "close"
    assert await client.read_to_end() == b"one two"


async def test_for_http_1_0_a_reply_of_known_length_may_keep_the_connection(open_reply):
    client, reply = await open_reply("GET / HTTP/1.0", "Connection: keep-alive")
    reply.begin(sized(2), b"ok")
    reply.finish()
    _, headers, body = await client.read_reply()
    assert (headers["connection"].lower(), body) == ("keep-alive", b"ok")


async def test_an_interim_status_as_the_only_reply_ends_the_connection(open_reply):
    client, reply = await open_reply()
    reply.begin(build_reply(103, "Early Hints", []), b"")
    reply.finish()
    assert (await client.read_to_end()).startswith(b"HTTP/1.1 103")


# --- endings -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("head", [OK, sized(100)])
async def test_a_cut_reply_has_no_clean_end(open_reply, head):
    client, reply = await open_reply()
    reply.begin(head, b"half")
    await asyncio.sleep(0.02)
    reply.cut()
    assert reply.finished
    await client.read_head()
    rest = await client.read_to_end()
    assert b"half" in rest
    assert not rest.endswith(b"0\r\n\r\n")


async def test_a_cut_reply_whose_end_would_be_that_of_the_connection_is_reset(open_reply):
    client, reply = await open_reply("GET / HTTP/1.0")
    reply.begin(OK, b"half")
    await client.read_head()
    assert await client.read_bytes(4) == b"half"
    reply.cut()
    await client.read_to_end()
    assert isinstance(client.stream.error, ConnectionResetError)


async def test_finishing_and_cutting_twice_is_harmless(open_reply):
    client, reply = await open_reply()
    reply.begin(sized(2), b"ok")
    for _ in range(2):
        reply.finish()
        reply.cut()
    assert (await client.read_reply())[2] == b"ok"


async def test_what_comes_after_the_client_has_left_goes_nowhere(open_reply, app):
    client, reply = await open_reply()
    reply.begin(OK, b"first")
    client.stream.close()
    while not app.closed:
        await asyncio.sleep(0.005)
    reply.write(b"second")
    reply.abandon()
    reply.cut()


async def test_a_slow_client_is_told_from_a_quick_one(open_reply):
    client, reply = await open_reply()
    reply.begin(sized(64 * 1024 * 1024), b"")
    flushed = asyncio.Event()
    while reply.when_flushed(flushed.set):
        reply.write(bytes(1024 * 1024))
        await asyncio.sleep(0)
    assert not flushed.is_set()
    reading = asyncio.ensure_future(client.stream.read_until_close())
    await asyncio.wait_for(flushed.wait(), 10)
    assert reply.when_flushed(lambda: pytest.fail("it has been flushed"))
    reply.cut()
    await reading


# --- the server's own answers --------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "text"), [(400, b"400 Bad Request\n"), (502, b"502 Bad Gateway\n")])
async def test_an_own_answer_is_short_and_whole(open_reply, status, text):
    client, reply = await open_reply()
    reply.answer(status)
    reply.finish()
    found, headers, body = await client.read_reply()
    assert (found, body) == (status, text)
    assert headers["x-request-id"] == "id-1"
    assert {"date", "server", "content-type"} <= headers.keys()
    assert "retry-after" not in headers


async def test_who_is_refused_for_now_is_told_when_to_come_again(open_reply):
    client, reply = await open_reply()
    reply.answer(503)
    reply.finish()
    assert int((await client.read_reply())[1]["retry-after"]) >= 1


async def test_a_head_is_answered_without_a_body(open_reply):
    client, reply = await open_reply("HEAD / HTTP/1.1", "Connection: close")
    reply.answer(502)
    reply.finish()
    data = await client.read_to_end()
    assert b"Content-Length: 16\r\n" in data
    assert data.endswith(b"\r\n\r\n")


async def test_an_answer_may_be_the_last_on_its_connection(open_reply):
    client, reply = await open_reply()
    reply.answer(400, close=True)
    reply.finish()
    data = await client.read_to_end()
    assert b"Connection: close\r\n" in data
    assert data.endswith(b"400 Bad Request\n")


# --- a client that still sends -------------------------------------------------------------------------


async def test_a_reply_that_waits_for_the_rest_of_the_request_is_finished_by_time(open_reply, monkeypatch):
    monkeypatch.setattr("waterspout.wsgi.exchange.reply.LINGER", 0.1)
    client, reply = await open_reply("POST / HTTP/1.1", "Content-Length: 100", body=b"some")
    reply.answer(413, close=True)
    reply.finish_later()
    assert reply.lingers
    assert not reply.finished
    assert b"413" in await client.read_to_end()
    assert reply.finished
    assert not reply.lingers


async def test_nobody_is_listened_to_for_ever(open_reply, monkeypatch):
    monkeypatch.setattr("waterspout.wsgi.exchange.reply.LINGER_SIZE", 1000)
    _, reply = await open_reply("POST / HTTP/1.1", "Content-Length: 100000", body=b"some")
    reply.answer(413, close=True)
    reply.discard(2000)
    assert not reply.finished
    reply.finish_later()
    reply.discard(1)
    assert reply.finished


async def test_a_client_that_leaves_ends_the_waiting(open_reply):
    _, reply = await open_reply("POST / HTTP/1.1", "Content-Length: 100", body=b"some")
    reply.answer(413, close=True)
    reply.finish_later()
    reply.abandon()
    assert not reply.lingers
    assert not reply.finished
