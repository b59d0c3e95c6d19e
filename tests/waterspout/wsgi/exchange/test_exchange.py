"""One request and its reply: a real client on one side, a scripted lane on the other."""

import asyncio

import pytest

from tests.waterspout.wsgi.fake_lanes import GET, OK, Site, post
from tests.waterspout.wsgi.jobs import wait_for
from waterspout.limits import HALF_CLOSED_QUEUED, SMALL_BODY
from waterspout.wsgi.exchange import reply
from waterspout.wsgi.frames import CUT, WHOLE, build_reply

pytestmark = pytest.mark.gen_test(timeout=20)


@pytest.fixture
def app():
    return Site()


@pytest.fixture
def pool(app):
    return app.pool


@pytest.fixture(autouse=True)
def lingering(monkeypatch):
    """Who waits for more of a client's body when its reply is whole waits for longer than a test may take."""
    monkeypatch.setattr(reply, "LINGER", 60)


# --- requests ------------------------------------------------------------------------------------------


async def test_a_request_is_described_to_the_worker(client, pool, http_port):
    await client.send("GET /a%2Fb?c HTTP/1.1", "Host: h", "X-One: 1", "X-Two: \xe9", "X-Request-Id: mine")
    head = (await pool.start_next()).head
    assert (head.method, head.target, head.version, head.scheme) == ("GET", "/a%2Fb?c", "HTTP/1.1", "http")
    assert (head.remote_addr, head.server_name, head.server_port) == (
        "127.0.0.1",
        "127.0.0.1",
        str(http_port),
    )
    assert head.remote_port.isdecimal()
    assert (head.request_id, head.body_length, head.content_length) == ("mine", 0, "")
    assert ("X-One", "1") in head.headers
    assert ("X-Two", "\xe9") in head.headers


@pytest.mark.parametrize("trusted", [True, False])
async def test_the_worker_is_told_whom_the_proxy_serves(client, app, pool, trusted):
    app.proxies.is_trusted = lambda address: trusted and address == "127.0.0.1"
    await client.send(*GET, "X-Forwarded-For: 198.51.100.1", "X-Forwarded-Prefix: /here")
    head = (await pool.start_next()).head
    assert head.disbelieved is not trusted
    assert (head.remote_addr, head.root_path) == (("198.51.100.1", "/here") if trusted else ("127.0.0.1", ""))
    assert "X-Forwarded-For" not in dict(head.headers)


@pytest.mark.parametrize("proposed", [(), ("X-Request-Id: not well formed",)])
async def test_a_request_without_an_id_gets_one(client, pool, proposed):
    await client.send(*GET, *proposed)
    lane = await pool.start_next()
    assert lane.head.request_id
    assert " " not in lane.head.request_id


async def test_requests_follow_each_other_on_a_connection(client, pool):
    for number in range(5):
        await client.send(f"GET /{number} HTTP/1.1", "Host: x")
        lane = await pool.start_next()
        lane.answer(lane.head.target.encode())
        assert (await client.read_reply())[2] == b"/%d" % number


async def test_a_request_that_waits_is_run_when_there_is_a_lane(client, pool):
    await client.send(*GET)
    exchange = await pool.next()
    await asyncio.sleep(0.02)
    pool.waiting.append(exchange)
    (await pool.start_next()).answer(b"late")
    assert (await client.read_reply())[2] == b"late"


async def test_a_request_that_is_refused_is_answered_503(client, pool):
    await client.send(*GET)
    (await pool.next()).refuse(503)
    status, headers, _ = await client.read_reply()
    assert (status, headers["retry-after"]) == (503, "1")
    await client.send(*GET)
    (await pool.start_next()).answer(b"next")
    assert (await client.read_reply())[2] == b"next"


@pytest.mark.parametrize(
    ("field", "status"),
    [
        ("Content-Length: 0x10", 400),
        ("Content-Length: +1", 400),
        ("Content-Length: 5\r\nContent-Length: 5", 400),
        ("Content-Length: 5\r\nTransfer-Encoding: chunked", 400),
        ("Transfer-Encoding: gzip, chunked", 400),
    ],
)
async def test_a_malformed_framing_never_reaches_the_app(client, pool, field, status):
    await client.send("POST / HTTP/1.1", "Host: x", field, body=b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n")
    answer = await client.read_to_end()
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert b"Connection: close" in answer
    assert answer.count(b"HTTP/1.1") == 1
    assert pool.submitted == 0


@pytest.mark.parametrize("status", [200, 503])
async def test_who_is_answered_in_place_of_100_continue_is_not_waited_for(client, pool, status):
    await client.send(*post(SMALL_BODY + 1), "Expect: 100-continue")
    if status == 200:
        (await pool.start_next()).answer(b"no, thanks")
    else:
        (await pool.next()).refuse(status)
    answer = await client.read_to_end()
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert b"\r\nConnection: close\r\n" in answer


# --- replies -------------------------------------------------------------------------------------------


async def test_a_reply_is_passed_on_piece_by_piece(client, pool):
    await client.send(*GET)
    user = (await pool.start_next()).user
    user.on_reply(build_reply(200, "OK", [("Content-Length", "6")]), b"", None)
    await client.read_head()
    user.on_reply(None, b"one", None)
    assert await client.read_bytes(3) == b"one"
    user.on_reply(None, b"two", None)
    user.on_reply(None, b"", WHOLE)
    assert await client.read_bytes(3) == b"two"


@pytest.mark.parametrize("at_once", [True, False])
async def test_a_reply_that_can_t_be_completed_is_cut(client, pool, at_once):
    await client.send(*GET)
    user = (await pool.start_next()).user
    if at_once:
        user.on_reply(OK, b"half", CUT)
    else:
        user.on_reply(OK, b"half", None)
        await asyncio.sleep(0.02)
        user.on_reply(None, b"", CUT)
    data = await client.read_to_end()
    assert data.startswith(b"HTTP/1.1 200")
    assert not data.endswith(b"0\r\n\r\n")


async def test_a_slow_client_pauses_the_lane_until_it_reads(client, pool):
    await client.send(*GET)
    lane = await pool.start_next()
    lane.user.on_reply(OK, b"", None)
    while "pause" not in lane.orders:
        lane.user.on_reply(None, bytes(1_000_000), None)
        await asyncio.sleep(0)
    reading = asyncio.ensure_future(client.stream.read_until_close())
    await wait_for(lambda: lane.orders[-1] == "resume")
    lane.user.on_reply(None, b"", CUT)
    await reading


# --- clients that leave, workers that die --------------------------------------------------------------


async def test_a_client_that_leaves_while_it_waits_is_withdrawn(client, pool, access_log):
    await client.send(*GET)
    await wait_for(lambda: pool.waiting)
    client.stream.close()
    await wait_for(lambda: not pool.waiting)
    assert "GET / - 0B" in access_log.text


@pytest.mark.parametrize("length", [0, SMALL_BODY + 1])
async def test_a_client_that_leaves_cancels_what_runs(client, pool, length):
    await client.send(*(post(length) if length else GET))
    lane = await pool.start_next()
    client.stream.close()
    await wait_for(lambda: lane.orders)
    assert lane.orders == ["cancel"]
    lane.user.on_reply(OK, b"nobody", WHOLE)
    lane.user.on_lane_lost(unread=False, stopped=False)


@pytest.mark.parametrize("begun", [True, False])
async def test_a_worker_that_dies_is_answered_for_once(client, pool, begun):
    await client.send(*GET)
    user = (await pool.start_next()).user
    if begun:
        user.on_reply(OK, b"half", None)
        await asyncio.sleep(0.02)
    user.on_lane_lost(unread=False, stopped=False)
    if begun:
        assert not (await client.read_to_end()).endswith(b"0\r\n\r\n")
    else:
        assert (await client.read_reply())[0] == 502
    assert pool.submitted == 1


@pytest.mark.parametrize("body", [b"", b"small", bytes(SMALL_BODY + 1)])
async def test_a_request_that_no_worker_has_read_goes_to_another_one(client, pool, body):
    await client.send(*(post(len(body)) if body else GET), body=body)
    (await pool.start_next()).user.on_lane_lost(unread=True, stopped=False)
    lane = await pool.start_next()
    if lane.head.body_length < 0:
        lane.user.on_read(10**6)
    await wait_for(lambda: lane.body == body)
    lane.answer(b"second try")
    assert (await client.read_reply())[2] == b"second try"
    assert pool.submitted == 2


async def test_such_a_request_is_one_that_waits_and_no_more(client, pool):
    await client.send(*GET)
    exchange = (await pool.start_next()).user
    exchange.on_lane_lost(unread=True, stopped=False)
    assert exchange.record.started is None
    assert exchange._connection.half_close_grace == HALF_CLOSED_QUEUED


async def test_a_request_that_no_worker_has_read_of_a_client_that_left_goes_nowhere(client, pool):
    await client.send(*GET)
    lane = await pool.start_next()
    client.stream.close()
    await wait_for(lambda: lane.orders)
    lane.user.on_lane_lost(unread=True, stopped=False)
    assert pool.submitted == 1


# --- the last request of a connection ------------------------------------------------------------------


@pytest.mark.parametrize(
    "last", [("GET / HTTP/1.1", "Host: x", "Connection: close"), ("GET / HTTP/1.0", "Host: x")]
)
async def test_behind_the_last_request_nothing_is_run(client, pool, last):
    head = "\r\n".join([*last, "", ""]).encode()
    await client.stream.write(head + b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n")
    (await pool.start_next()).answer(b"last")
    assert (await client.read_to_end()).endswith(b"last")
    assert pool.submitted == 1


# --- the access line -----------------------------------------------------------------------------------


async def test_each_exchange_is_logged_once_with_what_it_sent(client, pool, access_log):
    await client.send("GET /path?a HTTP/1.1", "Host: x", "X-Request-Id: id-7")
    (await pool.start_next()).answer(b"seven b", build_reply(201, "Created", []))
    await client.read_reply()
    assert len(access_log.messages) == 1
    assert access_log.messages[0].startswith("127.0.0.1 GET /path?a 201 7B ")
    assert access_log.messages[0].endswith(" wsgi id-7")
