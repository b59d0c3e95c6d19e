"""A request's body between its client and a lane that a test works by hand."""

import asyncio

import pytest

from tests.waterspout.wsgi.fake_lanes import GET, MAX_BODY, OK, Site, post
from tests.waterspout.wsgi.jobs import wait_for
from waterspout.limits import SMALL_BODY
from waterspout.wsgi.frames import WHOLE, build_reply

pytestmark = pytest.mark.gen_test(timeout=20)


@pytest.fixture
def app():
    return Site()


@pytest.fixture
def pool(app):
    return app.pool


@pytest.mark.parametrize("size", [1, 1000, SMALL_BODY])
async def test_a_small_body_goes_with_its_request_once_it_is_whole(client, pool, size):
    await client.send(*post(size), body=bytes(size - 1))
    await asyncio.sleep(0.03)
    assert pool.submitted == 0
    await client.stream.write(b"x")
    lane = await pool.start_next()
    assert (lane.head.body_length, len(lane.body)) == (size, size)


@pytest.mark.parametrize("length", [SMALL_BODY + 1, None])
async def test_a_larger_body_goes_as_it_is_asked_for(client, pool, length):
    await client.send(*post(length))
    lane = await pool.start_next()
    assert (lane.head.body_length, lane.head.content_length) == (-1, str(length or ""))
    if length is None:
        await client.stream.write(b"5\r\nabcde\r\n3\r\nfgh\r\n0\r\n\r\n")
    else:
        await client.stream.write(b"abcdefgh" + bytes(length - 8))
    await asyncio.sleep(0.03)
    assert lane.body == b""
    lane.user.on_read(5)
    await wait_for(lambda: len(lane.body) == 5)
    lane.user.on_read(10**6)
    await wait_for(lambda: lane.body_ended)
    assert lane.body.startswith(b"abcdefgh")
    assert len(lane.body) == (length or 8)
    lane.answer(b"thanks")
    assert (await client.read_reply())[2] == b"thanks"


async def test_a_client_is_read_no_further_than_was_asked_for(client, pool):
    await client.send(*post(MAX_BODY))
    lane = await pool.start_next()
    writing = asyncio.ensure_future(client.stream.write(bytes(MAX_BODY)))
    lane.user.on_read(100)
    await wait_for(lambda: len(lane.body) == 100)
    await asyncio.sleep(0.05)
    assert len(lane.body) == 100
    lane.user.on_read(MAX_BODY)
    await wait_for(lambda: lane.body_ended)
    await writing


@pytest.mark.parametrize("length", [5, None, SMALL_BODY + 1])
async def test_continue_is_said_when_the_view_first_reads(client, pool, length):
    await client.send(*post(length, "Expect: 100-continue"))
    lane = await pool.start_next()
    assert lane.headers["Expect"] == "100-continue"
    lane.user.on_read(100)
    lane.user.on_read(10**6)
    assert (await client.read_head())[0] == "HTTP/1.1 100 Continue"
    lane.answer(b"done")
    assert (await client.read_head())[0] == "HTTP/1.1 200 OK"


async def test_continue_is_never_said_behind_the_head(client, pool):
    await client.send(*post(5, "Expect: 100-continue"))
    lane = await pool.start_next()
    lane.user.on_reply(build_reply(200, "OK", [("Content-Length", "4")]), b"ha", None)
    lane.user.on_read(100)
    lane.user.on_reply(None, b"lf", WHOLE)
    assert (await client.read_reply())[2] == b"half"


async def test_a_view_that_reads_nothing_answers_who_waits_to_send(client, pool):
    await client.send(*post(5, "Expect: 100-continue"))
    (await pool.start_next()).answer(b"no, thanks")
    assert (await client.read_reply())[::2] == (200, b"no, thanks")


@pytest.mark.parametrize("expects", [(), ("Expect: 100-continue",)])
async def test_a_body_that_says_it_is_too_large_never_reaches_the_app(client, pool, expects):
    await client.send(*post(MAX_BODY + 1, *expects))
    status, headers, _ = await client.read_reply()
    assert (status, headers["connection"]) == (413, "close")
    assert pool.submitted == 0


async def test_a_body_that_turns_out_to_be_too_large_is_answered_413(client, pool):
    await client.send(*post(None))
    lane = await pool.start_next()
    lane.user.on_read(10 * MAX_BODY)
    await client.stream.write(b"%x\r\n" % (MAX_BODY + 1) + bytes(MAX_BODY + 1) + b"\r\n")
    assert (await client.read_reply())[0] == 413
    assert lane.orders == ["cancel"]
    assert lane.reason == f"the request's body is over the limit of {MAX_BODY} bytes"
    lane.user.on_reply(OK, b"too late", None)


async def test_a_reply_that_comes_before_the_end_of_the_body_is_sent_whole(client, pool):
    await client.send(*post(SMALL_BODY + 1))
    lane = await pool.start_next()
    lane.answer(b"enough")
    assert (await client.read_reply())[2] == b"enough"
    await client.stream.write(bytes(SMALL_BODY + 1))
    await client.send(*GET)
    (await pool.start_next()).answer(b"next")
    assert (await client.read_reply())[2] == b"next"
