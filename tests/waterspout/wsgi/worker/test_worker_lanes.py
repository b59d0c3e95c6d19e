"""A lane worker and what comes down its lane: bodies, clients that leave, servers that go, children."""

import ctypes
import errno
import os
import select
import socket
import sys
import threading
import time
from contextlib import suppress

import pytest

from tests.waterspout.processes import running_thread, wait_for_exit, wait_until
from tests.waterspout.wsgi.apps import app as views
from tests.waterspout.wsgi.wires import DEADLINE, build_request, open_wire
from tests.waterspout.wsgi.worker.test_worker import TEXT, Watched, answering
from waterspout.exceptions import ClientDisconnected, Forked
from waterspout.limits import FRAME_LIMIT, READ_WINDOW
from waterspout.wsgi.frames import BODY, BODY_END, CANCEL, REQUEST, WHOLE, pack, pack_about, pack_header
from waterspout.wsgi.worker.alive import KEY, client_alive
from waterspout.wsgi.worker.worker import Cancelled, LaneWorker


def is_waiting(reply):
    """The view waits for more of its body."""
    return reply.credit > 0


def endless():
    while True:
        time.sleep(0.001)
        yield b"tick\n"


# --- bodies --------------------------------------------------------------------------------------------


def test_a_body_on_demand_is_asked_for_and_read():
    with open_wire(views) as wire:
        wire.begin("/echo", None, method="POST")
        assert wire.read_until(is_waiting).credit <= READ_WINDOW
        for piece in (b"one ", b"two ", b"three"):
            wire.send(BODY, piece)
        wire.send(BODY_END)
        assert wire.finish().body == b"one two three"


def test_a_large_body_is_asked_for_window_by_window():
    size = 3 * READ_WINDOW + 5
    with open_wire(views) as wire:
        wire.begin("/echo", None, method="POST")
        sent = 0
        while sent < size:
            wire.read_until(lambda reply, sent=sent: reply.credit > sent)
            piece = min(wire.reply.credit, size) - sent
            wire.send(BODY, bytes(piece))
            sent += piece
            assert wire.reply.credit <= sent + READ_WINDOW
        wire.send(BODY_END)
        assert len(wire.finish().body) == size


def test_a_view_that_reads_nothing_asks_for_nothing():
    with open_wire(views) as wire:
        reply = wire.ask("/hello", None, method="POST")
        assert (reply.body, reply.credit) == (b"hello", 0)
        assert wire.ask("/echo", b"next").body == b"next"


@pytest.mark.parametrize("left", [b"", b"rest that was asked for", b"x" * 100_000])
@pytest.mark.parametrize("late", [b"", pack(BODY_END), pack_about(CANCEL, 0, "gone")])
def test_what_a_view_leaves_unread_never_reaches_the_next_request(left, late):
    def app(environ, start_response):
        first = (
            environ["wsgi.input"].read1(3)
            if environ["PATH_INFO"] == "/some"
            else environ["wsgi.input"].read()
        )
        return answering([first])(environ, start_response)

    with open_wire(app) as wire:
        for _ in range(2):
            wire.begin("/some", None, method="POST")
            wire.read_until(is_waiting)
            wire.send(BODY, b"abcdef")
            assert wire.finish().body == b"abc"
            if left:
                wire.send(BODY, left)
            wire.sock.sendall(late)
            assert wire.ask("/all", b"the next one's").body == b"the next one's"


def test_a_small_body_that_is_left_unread_never_reaches_the_next_request():
    with open_wire(views) as wire:
        assert wire.ask("/hello", b"unread", method="POST").body == b"hello"
        assert wire.ask("/echo", b"").body == b""


def test_a_thread_that_a_view_leaves_behind_can_t_read_from_the_lane():
    bodies = []

    def app(environ, start_response):
        bodies.append(environ["wsgi.input"])
        return answering([b"done"])(environ, start_response)

    with open_wire(app) as wire:
        wire.ask("/", None, method="POST")
        with pytest.raises(ValueError, match="closed"):
            bodies[0].read()
        assert wire.ask().body == b"done"


class Standing(bytes):
    """A chunk that blocks in the middle of its write until it may go on."""

    def __new__(cls, text):
        self = super().__new__(cls, text)
        self.entered, self.may_go_on = threading.Event(), threading.Event()
        return self

    def __bool__(self):
        return True

    def __len__(self):
        self.entered.set()
        assert self.may_go_on.wait(DEADLINE)
        return super().__len__()


def handing_out(writes):
    """An app that lets others have the `write` of its first request."""

    def app(environ, start_response):
        write = start_response("200 OK", TEXT)
        if not writes:
            writes.append(write)
            return endless()
        return iter([b"one ", b"two"])

    return app


def test_what_a_thread_that_a_view_leaves_behind_writes_never_reaches_the_next_client():
    writes = []
    with open_wire(handing_out(writes)) as wire:
        wire.begin()
        wire.read_until(lambda reply: reply.body)
        wire.send(CANCEL, b"gone")
        wire.finish()
        writes[0](b"nobody's")
        wire.begin()
        writes[0](b"nobody's")
        assert wire.finish().body == b"one two"


def test_nor_does_what_it_is_just_writing():
    writes, chunk = [], Standing(b"nobody's")

    def write():
        with suppress(Cancelled):
            writes[0](chunk)

    with open_wire(handing_out(writes)) as wire:
        wire.begin()
        wire.read_until(lambda reply: reply.body)
        with running_thread(write):
            assert chunk.entered.wait(DEADLINE)
            wire.send(CANCEL, b"gone")
            wire.sock.settimeout(0.5)  # long enough for a worker that does not wait for it
            with suppress(TimeoutError):
                wire.finish()
                wire.begin()
                wire.read_until(lambda reply: reply.status)
            chunk.may_go_on.set()
            wire.finish()
        assert b"nobody's" not in wire.reply.body
        assert wire.ask().body == b"one two"


# --- clients that leave --------------------------------------------------------------------------------


def test_a_client_that_leaves_in_the_middle_of_a_stream_ends_it():
    watched = Watched(endless())
    with open_wire(answering(watched)) as wire:
        wire.begin()
        wire.read_until(lambda reply: len(reply.body) > 20)
        wire.send(CANCEL, b"gone")
        reply = wire.finish()
        assert reply.end is None
        assert watched.closed == 1
        assert set(watched.threads) == {wire.thread.ident}
        wire.begin()
        assert wire.read_until(lambda reply: reply.body).status == 200
        wire.send(CANCEL, b"gone")
        wire.finish()


def test_a_client_that_leaves_under_a_blocked_stream_ends_it():
    """Nobody reads: the worker is blocked in its send, and goes on when the rest is thrown away."""
    watched = Watched(iter(lambda: bytes(65536), None))
    with open_wire(answering(watched)) as wire:
        wire.begin()
        assert wait_until(lambda: watched.threads)
        time.sleep(0.05)
        wire.send(CANCEL, b"gone")
        wire.finish()
        assert watched.closed == 1


@pytest.mark.parametrize("started", [True, False])
def test_a_client_that_leaves_while_its_body_is_read_fails_the_read(started, caplog):
    raised = []

    def app(environ, start_response):
        try:
            environ["wsgi.input"].read()
        except Exception as error:
            raised.append(error)
            raise

    with open_wire(app) as wire:
        wire.begin("/", None, method="POST")
        wire.read_until(is_waiting)
        if started:
            wire.send(BODY, b"half")
        wire.send(CANCEL, b"so it goes")
        reply = wire.finish()
    assert reply.head is None
    assert isinstance(raised[0], ClientDisconnected)
    assert str(raised[0]) == "so it goes"
    assert "raised" not in caplog.text


def test_an_app_that_swallows_the_error_speaks_to_nobody():
    def app(environ, start_response):
        with pytest.raises(OSError):
            environ["wsgi.input"].read()
        return answering([b"anybody there?"])(environ, start_response)

    with open_wire(app) as wire:
        wire.begin("/", None, method="POST")
        wire.read_until(is_waiting)
        wire.send(CANCEL, b"gone")
        assert wire.finish().head is None
        wire.begin("/", None, method="POST")
        wire.read_until(is_waiting)
        wire.send(CANCEL, b"gone")
        wire.finish()


def test_what_a_view_raises_because_of_something_else_is_still_logged(caplog):
    def app(environ, start_response):
        environ["wsgi.input"].read(1)
        raise LookupError("of its own")

    with open_wire(app) as wire:
        wire.begin("/", None, method="POST")
        wire.read_until(is_waiting)
        wire.send(BODY, b"x")
        wire.send(CANCEL, b"gone")
        wire.finish()
    assert "of its own" in caplog.text


@pytest.mark.parametrize("kind", [TimeoutError, BrokenPipeError, ConnectionError, ValueError])
def test_an_error_of_the_view_s_own_is_logged_though_nobody_waits_for_it(kind, caplog):
    """After a 504 it may be what the view was waiting for."""
    is_cancelled = threading.Event()

    def app(environ, start_response):
        assert is_cancelled.wait(DEADLINE)
        client_alive(environ)
        raise kind("the database does not answer")

    with open_wire(app) as wire:
        wire.begin()
        wire.send(CANCEL, b"the view ran out of time")
        is_cancelled.set()
        assert wire.finish().head is None
    assert "the database does not answer" in caplog.text


def test_what_a_framework_makes_of_a_client_that_left_is_not_logged(caplog):
    """For example Django's UnreadablePostError."""

    def app(environ, start_response):
        try:
            environ["wsgi.input"].read()
        except OSError as error:
            raise OSError(*error.args) from error

    with open_wire(app) as wire:
        wire.begin("/", None, method="POST")
        wire.read_until(is_waiting)
        wire.send(CANCEL, b"gone")
        assert wire.finish().head is None
    assert "raised" not in caplog.text


# --- a server that goes --------------------------------------------------------------------------------


def test_a_lane_that_is_closed_ends_its_worker():
    with open_wire(views) as wire:
        wire.ask("/hello")
        wire.sock.shutdown(socket.SHUT_WR)
        assert wire.is_closed()


@pytest.mark.parametrize("how", ["stream", "read"])
def test_a_lane_that_is_closed_under_a_request_closes_its_iterable(how):
    def reading(environ):
        yield b"begun"
        environ["wsgi.input"].read()

    made = []

    def app(environ, start_response):
        made.append(Watched(endless() if how == "stream" else reading(environ)))
        return answering(made[0])(environ, start_response)

    with open_wire(app) as wire:
        wire.begin("/", None, method="POST")
        wire.read_until(lambda reply: reply.body)
        wire.sock.close()
        assert wait_until(lambda: made[0].closed)
    assert made[0].closed == 1


# --- children that fork --------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
@pytest.mark.parametrize("where", ["in the call", "in the iteration", "before a read", "in close"])
def test_a_forked_child_never_speaks_on_its_parent_s_lane(where):
    """The app's own bug, a child that returns where it should exit, must not answer the client twice."""
    children = []

    def fork(here):
        if here == where and not children:
            children.append(os.fork())

    class Forking(Watched):
        def close(self):
            fork("in close")

    def app(environ, start_response):
        fork("in the call")
        start_response("200 OK", TEXT)
        fork("before a read")
        body = environ["wsgi.input"].read()

        def chunks():
            yield b"one "
            fork("in the iteration")
            yield body

        return Forking(chunks())

    with open_wire(app) as wire:
        wire.begin("/", None, method="POST")
        wire.read_until(is_waiting)
        wire.sock.sendall(pack(BODY, b"two") + pack(BODY_END))
        reply = wire.finish()
        assert (reply.body, reply.end) == (b"one two", WHOLE)
        assert wait_for_exit(children[0]) == 1
        wire.begin("/", b"", method="GET")
        assert wire.finish().body == b"one "
    assert threading.active_count() < 50


@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
@pytest.mark.parametrize("part", [0, 3])
def test_a_forked_child_takes_nothing_of_its_parent_s_body(part):
    """Whether the next part of it has been asked for by then, or not."""
    has_ended = threading.Event()

    def app(environ, start_response):
        stream = environ["wsgi.input"]
        begun = stream.read(part)
        child = os.fork()
        if child == 0:
            try:
                stream.read()
            except Forked:
                os._exit(7)
            os._exit(8)
        status = str(wait_for_exit(child)).encode()
        has_ended.set()
        return answering([b"%s %s" % (status, begun + stream.read())])(environ, start_response)

    with open_wire(app) as wire:
        wire.begin("/", None, method="POST")
        if part:
            wire.read_until(is_waiting)
            wire.send(BODY, b"one")
        assert has_ended.wait(2 * DEADLINE)
        wire.send(BODY, b" two")
        wire.send(BODY_END)
        assert wire.finish().body == (b"7 one two" if part else b"7  two")


# --- a kernel that has no room ---------------------------------------------------------------------------


class Strained(socket.socket):
    """The write after `before` others fails, when `went` bytes of it have gone out."""

    before = 1  # the THREAD frame
    went = 0

    def sendall(self, data):
        self.before -= 1
        if self.before < 0:
            self.before = 99
            super().sendall(data[: self.went])
            raise OSError(errno.ENOBUFS, os.strerror(errno.ENOBUFS))
        super().sendall(data)


def say_all(wire):
    """What the worker says until it closes its end."""
    said = b""
    while data := wire.sock.recv(65536):
        said += data
    return said


@pytest.mark.parametrize("went", [0, 7])
@pytest.mark.parametrize("body", [b"", None], ids=["a reply", "a question"])
def test_behind_what_could_not_be_sent_comes_nothing(went, body):
    kind = type("Strained", (Strained,), {"went": went})
    with open_wire(views, kind=kind) as wire:
        wire.begin("/echo", body, method="POST")
        assert len(say_all(wire)) == went


def test_nor_in_the_middle_of_a_reply():
    kind = type("Strained", (Strained,), {"before": 2})
    chunks = Watched([b"one", b"two", b"three"])
    with open_wire(answering(chunks), kind=kind) as wire:
        wire.begin()
        said = say_all(wire)
    assert b"one" in said
    assert b"two" not in said
    assert b"three" not in said
    assert chunks.closed == 1


class TooLate(Exception):
    """What a library raises in the thread of a view that takes too long."""


@pytest.mark.parametrize("kind", [TooLate, TimeoutError, MemoryError])
def test_behind_what_an_exception_from_outside_has_interrupted_no_body_is_taken_for_a_request(kind, caplog):
    """It comes when the thread, which waits in the kernel, has just received something: that is lost."""
    ran, threads, company = [], [], set()

    def app(environ, start_response):
        ran.append(environ["PATH_INFO"])
        threads.append(threading.get_ident())
        with suppress(kind):
            environ["wsgi.input"].read()
        for size in (-1, 10):
            with pytest.raises(OSError, match="a read was interrupted"):
                environ["wsgi.input"].read(size)
        return answering([b"an ", b"answer"])(environ, start_response)

    with open_wire(app, company=company) as wire:
        wire.begin("/upload", None, method="POST")
        wire.read_until(is_waiting)
        assert company
        time.sleep(0.1)  # it waits in recv()
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(threads[0]), ctypes.py_object(kind))
        smuggled = build_request("/smuggled")
        wire.sock.sendall(pack_header(BODY, 1000 + len(smuggled)) + bytes(1000))
        wire.read_until(lambda reply: reply.end is not None)
        assert wire.reply.body == b"an answer"
        with suppress(OSError):
            wire.sock.sendall(smuggled)
        assert wire.is_closed()
        assert not wire.reply.idle
    assert ran == ["/upload"]
    assert not company  # nor does it count as one whose view still runs
    assert caplog.text.count("a lane is closed: an exception has interrupted its thread") == 1


def test_an_exception_from_outside_behind_the_look_for_a_client_that_left_leaves_the_lane_usable():
    """It comes when the thread of a view that streams has just begun that look."""
    hit = []

    def interrupt(frame, event, arg):
        if event == "c_return" and arg.__name__ == "acquire" and frame.f_code.co_name == "_poll":
            sys.setprofile(None)
            hit.append(True)
            raise TooLate

    def stream():
        yield b"one"
        sys.setprofile(interrupt)
        yield b"two"

    def app(environ, start_response):
        chunks = stream() if environ["PATH_INFO"] == "/interrupted" else [b"the ", b"next"]
        return answering(chunks)(environ, start_response)

    with open_wire(app) as wire:
        assert wire.ask("/interrupted").body == b"one"
        assert hit
        assert wire.ask("/next").body == b"the next"


def test_a_lane_whose_thread_ends_is_closed_though_a_child_that_a_view_has_forked_holds_it_open():
    """Else whoever gets it next waits until the child ends."""
    held = []

    def interrupt(frame, event, arg):
        if event == "call" and frame.f_code is LaneWorker._next.__code__:
            sys.setprofile(None)
            raise TimeoutError

    def app(environ, start_response):
        held.append(os.dup(environ[KEY]._lane.fileno()))
        sys.setprofile(interrupt)
        return answering([b"an answer"])(environ, start_response)

    with open_wire(app) as wire:
        wire.begin("/view")
        wire.read_until(lambda reply: reply.end is not None)
        try:
            assert wire.is_closed()
        finally:
            os.close(held[0])


def test_of_a_request_that_a_thread_leaves_unread_as_it_ends_its_lane_tells(monkeypatch):
    """By an error, ahead of which no end is seen: the event loop gives that request to another lane."""
    said = []
    is_answered = threading.Event()
    give_up = LaneWorker.give_up

    def look_and_give_up(worker):
        said.extend(select.select([wire.sock], [], [], 0)[0])
        give_up(worker)

    monkeypatch.setattr(LaneWorker, "give_up", look_and_give_up)

    def interrupt(frame, event, arg):
        if event == "call" and frame.f_code is LaneWorker._next.__code__:
            sys.setprofile(None)
            is_answered.wait(DEADLINE)
            wire.sock.sendall(build_request("/next"))
            raise TimeoutError

    def app(environ, start_response):
        sys.setprofile(interrupt)
        return answering([b"an answer"])(environ, start_response)

    with open_wire(app) as wire:
        wire.begin("/view")
        wire.read_until(lambda reply: reply.end is not None)
        is_answered.set()
        wire.thread.join(DEADLINE)
        assert said == []
        with pytest.raises(ConnectionResetError):
            wire.sock.recv(1)


def test_a_frame_that_can_t_be_understood_ends_the_lane_and_is_said(caplog):
    """A head above FRAME_LIMIT, from a server that was told to let it in."""
    with open_wire(views) as wire:
        wire.sock.sendall(pack_header(REQUEST, FRAME_LIMIT + 1))
        assert wire.is_closed()
    assert (
        f"a lane is lost, with what it was running: not a Waterspout frame: kind 1, {FRAME_LIMIT + 1} bytes"
        in caplog.text
    )
