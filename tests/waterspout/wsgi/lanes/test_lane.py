"""The event loop's end of a lane, with a socket at the other end that says what a worker might."""

import asyncio
import select
import socket

import pytest

from tests.waterspout.wsgi.jobs import wait_for
from waterspout.limits import LANE_READ, VIEW_TEXT
from waterspout.message.record import Record
from waterspout.wsgi.frames import (
    CANCEL,
    CUT,
    DATA,
    END,
    IDLE,
    REPLY,
    THREAD,
    WHOLE,
    build_reply,
    pack,
    pack_about,
    pack_header,
    pack_read,
    serialize_reply,
)
from waterspout.wsgi.lanes.lane import Lane

pytestmark = pytest.mark.gen_test

HEAD = build_reply(200, "OK", [("X-Head", "yes")])
REPLY_FRAME = pack(REPLY, serialize_reply(HEAD))


class User:
    """An exchange that only takes notes."""

    def __init__(self):
        self.heard = []
        self.record = Record("wsgi", "GET", "/", "127.0.0.1", "id")
        self.is_starving = False

    def on_read(self, credit):
        self.heard.append(("read", credit))

    def on_reply(self, head, data, end):
        self.heard.append(("reply", head, data, end))

    def on_lane_lost(self, unread, stopped):
        self.heard.append(("lost", "unread" if unread else "read"))


class Peer:
    """A lane and the worker's end of it. `notes`: what the lane told its crew."""

    def __init__(self, sock):
        self.sock = sock
        self.notes = []
        self.next = None
        self.lane = Lane(self._on_idle, lambda lane: self.notes.append(("lost", lane)))
        self.user = User()

    def _on_idle(self, lane):
        self.notes.append(("idle", lane))
        if self.next is not None:
            lane.begin(self.next, b"next")

    def begin(self, frames=b""):
        self.lane.begin(self.user, frames)
        return self.user.heard

    async def say(self, *frames):
        """Let the lane hear this, in one read."""
        self.sock.sendall(b"".join(frames))
        await asyncio.sleep(0.02)

    def hear(self):
        """All that the lane has sent so far."""
        try:
            return self.sock.recv(100_000)
        except BlockingIOError:
            return b""


@pytest.fixture
def peer(io_loop):
    near_end, far_end = socket.socketpair()
    near_end.setblocking(False)
    far_end.setblocking(False)
    peer = Peer(far_end)

    async def connect():
        await asyncio.get_running_loop().create_unix_connection(lambda: peer.lane, sock=near_end)

    async def disconnect():
        peer.lane.close()
        await asyncio.sleep(0)

    io_loop.run_sync(connect)
    yield peer
    io_loop.run_sync(disconnect)
    far_end.close()


async def test_it_begins_free(peer):
    assert not peer.lane.busy
    assert peer.lane.user is None


async def test_a_request_makes_it_busy_and_goes_out(peer):
    peer.begin(b"some frames")
    assert peer.lane.busy
    assert peer.lane.user is peer.user
    assert peer.hear() == b"some frames"


@pytest.mark.parametrize(
    ("method", "target", "view"),
    [
        ("GET", "/report?token=secret", "GET /report"),
        ("GET", "/r\x1b[2J\u00e9", r"GET /r\x1b[2J\xe9"),
        ("GET", "/" + 8000 * "x", "GET /" + (VIEW_TEXT - 5) * "x" + "..."),
        (3 * VIEW_TEXT * "M", "/", VIEW_TEXT * "M" + "..."),
    ],
)
async def test_its_view_is_a_short_printable_name_without_the_query(peer, method, target, view):
    peer.user.record = Record("wsgi", method, target, "127.0.0.1", "id")
    peer.begin()
    assert peer.lane.view == view


async def test_a_small_reply_is_told_in_one_word(peer):
    heard = peer.begin()
    await peer.say(REPLY_FRAME, pack(DATA, b"body"), pack(END, WHOLE), pack(IDLE))
    assert heard == [("reply", HEAD, b"body", WHOLE)]


async def test_pieces_that_come_together_are_told_together(peer):
    heard = peer.begin()
    await peer.say(REPLY_FRAME, *(pack(DATA, b"%d" % number) for number in range(5)))
    assert heard == [("reply", HEAD, b"01234", None)]


async def test_pieces_that_come_later_are_told_later(peer):
    heard = peer.begin()
    await peer.say(REPLY_FRAME)
    await peer.say(pack_header(DATA, 6) + b"one")
    await peer.say(b"two")
    await peer.say(pack(END, CUT))
    replies = [(head, data, end) for _, head, data, end in heard]
    assert replies == [(HEAD, b"", None), (None, b"one", None), (None, b"two", None), (None, b"", CUT)]


async def test_what_the_view_asks_for_is_told_between_what_it_says(peer):
    """Whether the reply has begun decides whether 100 Continue may still be sent."""
    heard = peer.begin()
    await peer.say(pack_read(5), REPLY_FRAME, pack(DATA, b"a"), pack_read(7), pack(DATA, b"b"), pack_read(9))
    assert heard == [
        ("read", 5),
        ("reply", HEAD, b"a", None),
        ("read", 7),
        ("reply", None, b"b", None),
        ("read", 9),
    ]


async def test_after_idle_it_is_free_again(peer):
    peer.begin()
    await peer.say(REPLY_FRAME, pack(END, WHOLE))
    assert peer.lane.busy
    assert peer.notes == []
    await peer.say(pack(IDLE))
    assert peer.notes == [("idle", peer.lane)]
    assert not peer.lane.busy
    assert peer.lane.user is None


async def test_a_new_request_may_begin_as_soon_as_it_is_free(peer):
    following = peer.next = User()
    heard = peer.begin(b"first;")
    await peer.say(REPLY_FRAME, pack(END, WHOLE), pack(IDLE))
    await peer.say(REPLY_FRAME, pack(END, CUT))
    assert peer.hear() == b"first;next"
    assert heard == [("reply", HEAD, b"", WHOLE)]
    assert following.heard == [("reply", HEAD, b"", CUT)]


async def test_after_a_cancel_nothing_is_told_until_the_lane_is_free(peer):
    heard = peer.begin()
    peer.lane.cancel(peer.user, "because")
    assert peer.hear() == pack_about(CANCEL, 0, "because")
    assert peer.lane.busy
    await peer.say(pack_read(5), REPLY_FRAME, pack(DATA, b"late"), pack(END, CUT))
    assert heard == []
    await peer.say(pack(IDLE))
    assert peer.notes == [("idle", peer.lane)]
    assert not peer.lane.busy


async def test_a_cancel_is_said_once(peer):
    peer.begin()
    peer.lane.cancel(peer.user, "once")
    peer.lane.cancel(peer.user, "twice")
    assert peer.hear() == pack_about(CANCEL, 0, "once")


async def test_a_free_lane_has_nothing_to_cancel(peer):
    peer.lane.cancel(peer.user)
    assert peer.hear() == b""


async def test_a_paused_lane_reads_nothing_until_it_is_resumed(peer):
    heard = peer.begin()
    peer.lane.pause()
    peer.lane.pause()
    await peer.say(REPLY_FRAME)
    assert heard == []
    peer.lane.resume()
    peer.lane.resume()
    await wait_for(lambda: heard)
    assert heard == [("reply", HEAD, b"", None)]


async def test_a_cancelled_lane_reads_on_so_that_its_worker_can_end(peer):
    peer.begin()
    peer.lane.pause()
    peer.lane.cancel(peer.user)
    await peer.say(REPLY_FRAME, pack(IDLE))
    assert peer.notes == [("idle", peer.lane)]


async def test_a_lane_that_was_paused_at_the_end_is_read_for_the_next_request(peer):
    """The end and IDLE may come with the last piece, which the client is still slow to take."""

    class Slow(User):
        def on_reply(self, head, data, end):
            super().on_reply(head, data, end)
            peer.lane.pause()

    peer.lane.begin(Slow(), b"")
    await peer.say(REPLY_FRAME, pack(END, WHOLE), pack(IDLE))
    heard = peer.begin()
    await peer.say(REPLY_FRAME)
    assert heard == [("reply", HEAD, b"", None)]


async def test_a_worker_that_dies_is_told_to_its_request_and_its_crew(peer):
    heard = peer.begin()
    peer.sock.close()
    await wait_for(lambda: peer.notes)
    assert heard == [("lost", "read")]
    assert peer.notes == [("lost", peer.lane)]
    assert peer.lane.user is None


@pytest.mark.parametrize("how", ["free", "cancelled"])
async def test_a_worker_that_dies_without_a_listener_is_told_to_its_crew(peer, how):
    if how == "cancelled":
        peer.begin()
        peer.lane.cancel(peer.user)
    peer.sock.close()
    await wait_for(lambda: peer.notes)
    assert peer.notes == [("lost", peer.lane)]
    assert peer.user.heard == []


async def test_a_request_that_a_dead_worker_can_t_have_read_may_go_to_another(peer):
    """The lane's end is closed, and the event loop has not yet seen it."""
    peer.sock.close()
    heard = peer.begin(b"request")
    await wait_for(lambda: peer.notes)
    assert heard == [("lost", "unread")]


async def test_a_request_that_lies_unread_in_front_of_a_worker_that_never_began_may_go_to_another(peer):
    """Perhaps there were too few threads for it: it has not even said which one it is."""
    heard = peer.begin(b"request")
    await wait_for(lambda: select.select([peer.sock], [], [], 0)[0])  # it is there, and nobody reads it
    peer.sock.close()
    await wait_for(lambda: peer.notes)
    assert heard == [("lost", "unread")]


@pytest.mark.parametrize("closed_first", [False, True])
async def test_a_small_request_that_a_worker_has_left_unread_may_go_to_another(peer, closed_first):
    """Its process has ended, which may be known before the end of the lane itself."""
    await peer.say(pack_about(THREAD, 1))
    heard = peer.begin(b"request")
    await wait_for(lambda: select.select([peer.sock], [], [], 0)[0])
    peer.sock.close()
    if closed_first:
        peer.lane.close()
    await wait_for(lambda: peer.notes)
    assert heard == [("lost", "unread")]


@pytest.mark.parametrize(
    ("frames", "read", "more"),
    [
        (b"request", 7, b""),
        (b"request", 7, b"more"),  # only what was said later is unread
        (bytes(LANE_READ), LANE_READ // 2, b""),  # in two reads, and the second was not its last word
        (bytes(LANE_READ), 0, b""),
    ],
)
@pytest.mark.parametrize("closed_first", [False, True])
async def test_a_request_that_a_worker_may_have_read_goes_to_no_other(peer, frames, read, more, closed_first):
    await peer.say(pack_about(THREAD, 1))
    heard = peer.begin(frames)
    await wait_for(lambda: select.select([peer.sock], [], [], 0)[0])
    assert len(peer.sock.recv(read)) == read
    if more:
        peer.lane.send(more)
        await wait_for(lambda: select.select([peer.sock], [], [], 0)[0])
    peer.sock.close()
    if closed_first:
        peer.lane.close()
    await wait_for(lambda: peer.notes)
    assert heard == [("lost", "read")]


async def test_a_request_on_a_lane_that_is_being_closed_may_go_to_another(peer):
    peer.lane.close()
    heard = peer.begin(b"request")
    await wait_for(lambda: peer.notes)
    assert heard == [("lost", "unread")]


async def test_a_request_that_followed_another_one_on_a_dead_lane_may_go_to_another_too(peer):
    peer.begin(b"first")
    await peer.say(REPLY_FRAME, pack(END, WHOLE), pack(IDLE))
    peer.sock.close()
    following = User()
    peer.lane.begin(following, b"second")
    await wait_for(lambda: len(peer.notes) == 2)
    assert following.heard == [("lost", "unread")]


async def test_what_a_dying_worker_said_is_told_first(peer):
    heard = peer.begin()
    peer.sock.sendall(REPLY_FRAME + pack(DATA, b"half"))
    peer.sock.close()
    await wait_for(lambda: peer.notes)
    assert heard == [("reply", HEAD, b"half", None), ("lost", "read")]


@pytest.mark.parametrize("said", [(), (REPLY_FRAME,), (REPLY_FRAME, pack(DATA, b"some"))])
async def test_a_worker_that_goes_on_without_the_end_of_a_reply_is_lost(peer, said, caplog):
    heard = peer.begin()
    await peer.say(*said, pack(IDLE))
    await wait_for(lambda: ("lost", peer.lane) in peer.notes)
    assert heard[-1] == ("lost", "read")
    assert ("idle", peer.lane) not in peer.notes
    assert "went idle before its reply was complete" in caplog.text


@pytest.mark.parametrize("nonsense", [b"\0\0\0\0\0", b"HTTP/1.1 500 Oops\r\n", pack_header(REPLY, 2**30)])
async def test_nonsense_closes_the_lane(peer, nonsense):
    heard = peer.begin()
    await peer.say(nonsense)
    await wait_for(lambda: peer.notes)
    assert heard == [("lost", "read")]
    assert peer.sock.recv(1) == b""


async def test_a_closed_lane_takes_orders_and_does_nothing(peer):
    peer.begin()
    peer.lane.close()
    await wait_for(lambda: peer.notes)
    for order in (peer.lane.pause, peer.lane.resume, peer.lane.close):
        order()
    peer.lane.cancel(peer.user)
    peer.lane.send(b"lost")
    assert peer.notes == [("lost", peer.lane)]
    assert peer.sock.recv(1) == b""


@pytest.mark.parametrize("call", ["on_reply", "on_read"])
async def test_what_fails_on_a_client_s_side_leaves_the_lane_as_it_was(peer, call, caplog):
    broken = []

    class Failing(User):
        def break_off(self):
            broken.append(self)
            peer.lane.cancel(self)

    def fail(*arguments):
        raise OSError("nobody is there")

    peer.user = Failing()
    setattr(peer.user, call, fail)
    peer.begin()
    await peer.say(REPLY_FRAME if call == "on_reply" else pack_read(10), pack(IDLE))
    assert broken == [peer.user]
    assert "a reply could not be passed on" in caplog.text
    assert peer.notes == [("idle", peer.lane)]
    following = User()
    peer.lane.begin(following, b"second")
    await peer.say(REPLY_FRAME, pack(END, WHOLE), pack(IDLE))
    assert following.heard == [("reply", HEAD, b"", WHOLE)]


async def test_a_frame_that_can_t_be_understood_ends_the_lane_and_is_said(peer, caplog):
    heard = peer.begin()
    await peer.say(pack_header(99, 7))
    await wait_for(lambda: heard)
    assert heard == [("lost", "read")]
    assert "a lane is lost, with what it was running: not a Waterspout frame: kind 99, 7 bytes" in caplog.text
