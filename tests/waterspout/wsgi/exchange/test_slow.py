"""A slow client between a real server and a lane that a test works by hand."""

import asyncio
import errno
import hashlib
import random
import tempfile
import threading
import time

import pytest

from tests.waterspout.wsgi.fake_lanes import MAX_BODY, Site, post
from tests.waterspout.wsgi.jobs import wait_for
from waterspout.limits import STRETCH
from waterspout.wsgi.exchange import admission, disk, spool
from waterspout.wsgi.frames import CUT, WHOLE, build_reply

pytestmark = pytest.mark.gen_test(timeout=20)
GET = ("GET / HTTP/1.1", "Host: x")
SIZED = build_reply(200, "OK", [("Content-Length", "8000000")])
BODY = random.Random(5).randbytes(8_000_000)


@pytest.fixture
def app():
    return Site(spool=64 << 20, spool_reply=16 << 20)


@pytest.fixture
def pool(app):
    return app.pool


async def say(lane, data, piece=60_000):
    """Say what the view yields, until the lane is told to pause; how much that was."""
    for start in range(0, len(data), piece):
        if lane.orders[-1:] == ["pause"]:
            return start
        lane.user.on_reply(None, data[start : start + piece], None)
        await asyncio.sleep(0)
    return len(data)


async def begin(client, pool, app):
    """A reply that its client does not take, while another request waits."""
    await client.send(*GET)
    lane = await pool.start_next()
    app.load.lacking = 1
    lane.user.on_reply(SIZED, b"", None)
    return lane


def is_at_rest(app):
    return app.admission.space.used == 0 and not app.admission._readers and not app.admission._collecting


# --- replies -------------------------------------------------------------------------------------------


async def test_a_lane_is_read_on_while_others_wait_and_nothing_is_lost(client, pool, app):
    lane = await begin(client, pool, app)
    said = 0
    while said < len(BODY):
        said += await say(lane, BODY[said:])
        await wait_for(lambda: lane.orders[-1:] != ["pause"])
    lane.user.on_reply(None, b"", WHOLE)
    assert app.admission.space.used > 2 << 20
    _, headers = await client.read_head()
    assert ("Content-Length", "8000000") in headers
    assert hashlib.sha256(await client.read_bytes(len(BODY))).digest() == hashlib.sha256(BODY).digest()
    await wait_for(lambda: is_at_rest(app))
    await client.send(*GET)
    (await pool.start_next()).answer(b"next")
    assert (await client.read_reply())[2] == b"next"


async def test_when_the_client_has_caught_up_the_way_is_straight_again(client, pool, app):
    lane = await begin(client, pool, app)
    said = await say(lane, BODY[:7_000_000])
    exchange = lane.user
    assert exchange._download is not None
    await client.read_head()
    assert await client.read_bytes(said) == BODY[:said]
    await wait_for(lambda: exchange._download is None)
    assert lane.orders[-1:] != ["pause"]
    lane.user.on_reply(None, BODY[said:], WHOLE)
    assert await client.read_bytes(len(BODY) - said) == BODY[said:]


async def test_without_others_the_view_waits(client, pool, app):
    await client.send(*GET)
    lane = await pool.start_next()
    lane.user.on_reply(SIZED, b"", None)
    assert await say(lane, BODY) < len(BODY)
    await asyncio.sleep(0.15)
    assert (lane.orders, app.admission.space.used) == (["pause"], 0)
    app.load.lacking = 1
    await wait_for(lambda: lane.orders == ["pause", "resume"])


async def test_a_reply_past_its_limit_waits_in_the_lane(client, pool, app):
    app.admission.reply_limit = 1 << 20
    lane = await begin(client, pool, app)
    said = await say(lane, BODY)
    assert said < len(BODY)
    await client.read_head()
    assert await client.read_bytes(said) == BODY[:said]
    await wait_for(lambda: lane.orders[-1] == "resume")


async def test_a_cut_reply_is_cut_behind_all_that_came_before(client, pool, app):
    lane = await begin(client, pool, app)
    said = await say(lane, BODY[:5_000_000])
    lane.user.on_reply(None, b"", CUT)
    assert (await client.read_to_end()).endswith(BODY[said - 1000 : said])
    await wait_for(lambda: is_at_rest(app))


@pytest.mark.parametrize("ended", [True, False])
async def test_a_worker_that_dies_leaves_what_it_has_said(client, pool, app, access_log, ended):
    lane = await begin(client, pool, app)
    said = await say(lane, BODY[:5_000_000])
    if ended:
        lane.user.on_reply(None, BODY[said:], WHOLE)
        said = len(BODY)
    lane.user.on_lane_lost(unread=False, stopped=False)
    assert (await client.read_to_end() if not ended else await read(client)).endswith(
        BODY[said - 1000 : said]
    )
    assert ("process-died" in access_log.text) is not ended
    assert pool.died == (not ended)


@pytest.mark.parametrize("ended", [True, False])
async def test_a_view_that_runs_out_of_time_leaves_what_it_has_said(client, pool, app, access_log, ended):
    lane = await begin(client, pool, app)
    said = await say(lane, BODY[:5_000_000])
    if ended:
        lane.user.on_reply(None, BODY[said:], WHOLE)
        said = len(BODY)
    assert lane.user.time_out() is not ended
    assert (await read(client) if ended else await client.read_to_end()).endswith(BODY[said - 1000 : said])
    assert ("timed-out" in access_log.text) is not ended
    assert ("cancel" in lane.orders) is not ended


async def test_who_has_said_all_is_not_counted_as_dead(client, pool, app):
    lane = await begin(client, pool, app)
    said = await say(lane, BODY[:5_000_000])
    lane.user.on_reply(None, BODY[said:], WHOLE)
    lane.user.on_lane_lost(unread=False, stopped=False)
    assert pool.died == 0
    await read(client)


async def read(client):
    await client.read_head()
    return await client.read_bytes(len(BODY))


@pytest.mark.parametrize("ended", [True, False])
async def test_a_client_that_leaves_takes_its_spool_along(client, pool, app, ended):
    lane = await begin(client, pool, app)
    said = await say(lane, BODY[:5_000_000])
    await wait_for(lambda: app.admission.space.used)
    if ended:
        lane.user.on_reply(None, BODY[said:], WHOLE)
        lane.orders.clear()
    client.stream.close()
    await wait_for(lambda: is_at_rest(app))
    assert ("cancel" in lane.orders) is not ended


async def test_the_lane_of_a_spooled_reply_is_its_exchange_s_no_more(client, pool, app):
    """After END and IDLE it may run another request, which nothing of this one may touch."""
    lane = await begin(client, pool, app)
    said = await say(lane, BODY)
    lane.user.on_reply(None, BODY[said:], WHOLE)
    lane.orders.clear()
    await read(client)
    await wait_for(lambda: is_at_rest(app))
    assert lane.orders == []


async def test_a_slow_reader_is_cut_so_that_it_can_tell(client, pool, app, access_log):
    lane = await begin(client, pool, app)
    await say(lane, BODY)
    lane.user.cut_slow()
    assert lane.orders[-1] == "cancel"
    assert len(await client.read_to_end()) < len(BODY)
    assert "too-slow" in access_log.text
    await wait_for(lambda: is_at_rest(app))


async def test_a_disk_that_takes_nothing_makes_the_view_wait(client, pool, app, monkeypatch):
    def fail(pieces, descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(disk, "_write", fail)
    lane = await begin(client, pool, app)
    said = await say(lane, BODY)
    while lane.orders[-1] != "pause":
        await asyncio.sleep(0.01)
        said += await say(lane, BODY[said:])
    assert said < len(BODY)
    await client.read_head()
    assert await client.read_bytes(said) == BODY[:said]
    await wait_for(lambda: lane.orders[-1] == "resume")
    lane.user.on_reply(None, BODY[said:], WHOLE)
    assert await client.read_bytes(len(BODY) - said) == BODY[said:]


async def test_a_client_whose_lane_waits_for_the_disk_alone_is_not_cut_for_it(client, pool, app, monkeypatch):
    """The disk is busy: it takes each piece in time, and the whole reply later."""
    write = disk._write

    def write_slowly(pieces, descriptor):
        time.sleep(0.1)
        write(pieces, descriptor)

    monkeypatch.setattr(disk, "_write", write_slowly)
    monkeypatch.setattr(admission, "STRETCH_TIME", 0.5)  # the disk has longer for each piece
    lane = await begin(client, pool, app)
    said = 0
    while said < len(BODY):  # some seconds
        said += await say(lane, BODY[said:])
        await wait_for(lambda: lane.orders[-1:] != ["pause"])
    lane.user.on_reply(None, b"", WHOLE)
    await client.read_head()
    assert await client.read_bytes(len(BODY)) == BODY


async def test_one_whose_disk_stands_still_is(client, pool, app, monkeypatch, access_log):
    gate = threading.Event()
    monkeypatch.setattr(disk, "_write", lambda pieces, descriptor: gate.wait(10))
    for module in (admission, spool):
        monkeypatch.setattr(module, "STRETCH_TIME", 0.5)
    lane = await begin(client, pool, app)
    try:
        await say(lane, BODY)
        await wait_for(lambda: "too-slow" in access_log.text)
    finally:
        gate.set()
    await wait_for(lambda: is_at_rest(app))


async def test_replies_that_a_disk_does_not_take_are_said_with_the_reason(
    client, pool, app, monkeypatch, caplog
):
    def fail(**_):
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "TemporaryFile", fail)
    lane = await begin(client, pool, app)
    said = await say(lane, BODY)
    await wait_for(lambda: "replies can't be spooled (1 since" in caplog.text)
    assert "No usable temporary directory found" in caplog.text
    assert "slow clients keep their lanes, and are cut off while others wait for one (TMPDIR)" in caplog.text
    while lane.orders[-1] != "pause":
        await asyncio.sleep(0.01)
        said += await say(lane, BODY[said:])
    assert caplog.text.count("can't be spooled") == 1
    await client.read_head()
    assert await client.read_bytes(said) == BODY[:said]


async def test_a_disk_that_gives_nothing_back_cuts_the_reply(client, pool, app, access_log, monkeypatch):
    def fail(offset, size, descriptor):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(disk, "_read", fail)
    lane = await begin(client, pool, app)
    said = 0
    while said < len(BODY):  # more than stays in memory
        said += await say(lane, BODY[said:])
        await wait_for(lambda: lane.orders[-1:] != ["pause"])
    assert len(await client.read_to_end()) < len(BODY)
    assert "spool-failed" in access_log.text
    await wait_for(lambda: is_at_rest(app))


# --- bodies --------------------------------------------------------------------------------------------


async def test_a_trickled_body_has_a_lane_when_it_is_whole(client, pool, app):
    app.load.has_idle_lane = False
    await client.send(*post(900_000))
    for start in range(0, 900_000, 50_000):
        await client.stream.write(BODY[start : start + 50_000])
        await asyncio.sleep(0.01)
        if start == 50_000:
            app.load.has_idle_lane = False
    lane = await pool.start_next()
    lane.user.on_read(1_000_000)
    await wait_for(lambda: lane.body_ended)
    assert lane.body == BODY[:900_000]
    await wait_for(lambda: app.admission.space.used == 0)


async def test_a_body_is_spooled_while_it_waits_in_the_queue(client, pool, app):
    await client.send(*post(MAX_BODY), body=BODY[:MAX_BODY])
    exchange = await pool.next()
    await wait_for(lambda: exchange._upload.whole)
    assert app.admission.space.used > 100_000
    pool.waiting.append(exchange)
    lane = await pool.start_next()
    for _ in range(10):
        lane.user.on_read(MAX_BODY // 10)
        await asyncio.sleep(0.01)
    await wait_for(lambda: lane.body_ended)
    assert lane.body == BODY[:MAX_BODY]
    lane.answer(b"thanks")
    assert (await client.read_reply())[2] == b"thanks"


async def test_a_spooled_body_that_nobody_reads_leaves_nothing(client, pool, app):
    await client.send(*post(MAX_BODY), body=BODY[:MAX_BODY])
    exchange = await pool.next()
    await wait_for(lambda: exchange._upload.whole)
    pool.waiting.append(exchange)
    lane = await pool.start_next()
    lane.answer(b"read naught")
    assert (await client.read_reply())[2] == b"read naught"
    assert lane.orders == ["cancel"]
    await wait_for(lambda: is_at_rest(app))


async def test_a_client_that_leaves_while_its_body_is_spooled(client, pool, app, access_log):
    app.load.has_idle_lane = False
    await client.send(*post(MAX_BODY))
    await client.stream.write(bytes(STRETCH - 1))
    await wait_for(lambda: app.admission._collecting)
    client.stream.close()
    await wait_for(lambda: is_at_rest(app))
    assert pool.submitted == 0
    assert "client-left" in access_log.text


async def park(client, app):
    """A request whose body finds no room, and that may have no lane; its exchange."""
    app.admission._most_unfinished = 0
    app.admission.space.limit = app.admission.space._most = 0
    await client.send(*post(MAX_BODY), body=BODY[:200_000])
    await wait_for(lambda: app.pool.parked)
    return app.pool.parked[0]


async def test_a_body_that_finds_no_room_waits_like_others_and_has_a_lane_in_the_end(client, pool, app):
    exchange = await park(client, app)
    parked_at = exchange.record.submitted
    app.admission._most_unfinished = 1
    lane = await pool.start_next()
    assert (pool.parked, pool.resubmitted) == ([], 1)
    assert exchange.record.submitted == parked_at
    lane.user.on_read(MAX_BODY)
    await client.stream.write(BODY[200_000:MAX_BODY])
    await wait_for(lambda: lane.body_ended)
    assert lane.body == BODY[:MAX_BODY]


async def test_or_is_told_503_as_others_are(client, pool, app, access_log):
    exchange = await park(client, app)
    exchange.refuse(503)
    status, headers, _ = await client.read_reply()
    assert (status, "retry-after" in headers) == (503, True)
    assert "no-lane" in access_log.text
    assert await client.read_to_end() == b""
    assert (pool.parked, is_at_rest(app)) == ([], True)


async def test_a_client_that_leaves_then_waits_no_longer(client, pool, app):
    await park(client, app)
    client.stream.close()
    await wait_for(lambda: not pool.parked and is_at_rest(app))


async def test_a_slow_sender_is_told_408(client, pool, app):
    await client.send(*post(MAX_BODY), body=bytes(STRETCH))
    lane = await pool.start_next()
    lane.user.on_read(MAX_BODY)
    await wait_for(lambda: lane.user.is_starving)
    lane.user.cut_slow()
    status, headers, _ = await client.read_reply()
    assert (status, headers["connection"]) == (408, "close")
    assert lane.orders == ["cancel"]


async def test_a_disk_that_is_full_is_a_507(client, pool, app, monkeypatch):
    def fail(pieces, descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(disk, "_write", fail)
    await client.send(*post(MAX_BODY), body=BODY[:MAX_BODY])
    status, headers, _ = await client.read_reply()
    assert (status, headers["connection"]) == (507, "close")
    await wait_for(lambda: is_at_rest(app))


async def test_what_no_thread_can_write_is_a_507_that_says_what_to_allow(
    client, pool, app, monkeypatch, caplog
):
    def start(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    await client.send(*post(MAX_BODY), body=BODY[:MAX_BODY])
    assert (await client.read_reply())[0] == 507
    assert "can't start new thread (allow more processes and threads: ulimit -u, " in caplog.text
    assert "TMPDIR" not in caplog.text


async def test_who_is_told_to_go_on_gets_its_100_once(client, pool, app):
    app.load.has_idle_lane = False
    await client.send(*post(100_000, "Expect: 100-continue"))
    assert (await client.read_head())[0] == "HTTP/1.1 100 Continue"
    await client.stream.write(bytes(100_000))
    lane = await pool.start_next()
    lane.user.on_read(1_000_000)
    await wait_for(lambda: lane.body_ended)
    lane.answer(b"done")
    assert (await client.read_reply())[2] == b"done"
