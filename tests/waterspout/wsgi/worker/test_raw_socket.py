"""The connection of a WebSocket's client, as a view sees it; what passes over it is in tests/wire."""

import selectors
import threading
import time

import pytest

from tests.waterspout.wsgi.heads import make_head
from tests.waterspout.wsgi.transcript import Transcript
from tests.waterspout.wsgi.wires import DEADLINE, build_request, open_wire
from tests.waterspout.wsgi.worker.test_worker import answering
from waterspout.limits import DATA_FRAME
from waterspout.wsgi.frames import (
    BODY,
    BODY_END,
    CANCEL,
    DATA,
    END,
    IDLE,
    READ,
    REPLY,
    REQUEST,
    SWITCH,
    UPGRADE,
    WHOLE,
    pack,
    pack_about,
    serialize_request,
)
from waterspout.wsgi.worker.alive import client_alive
from waterspout.wsgi.worker.raw_socket import SOCKET

UPGRADING = pack(REQUEST, serialize_request(make_head(target="/socket", body_length=UPGRADE)))


class View:
    """An app that lets the test use the socket of `/socket` until it sets `over`, and asks meanwhile whether
    the client is still there.
    """

    def __init__(self):
        self.begun, self.over = threading.Event(), threading.Event()

    def __call__(self, environ, start_response):
        if environ["PATH_INFO"] != "/socket":
            return answering([b"next"])(environ, start_response)
        self.socket = environ[SOCKET]
        self.begun.set()
        deadline = time.monotonic() + DEADLINE
        while not self.over.wait(0.01) and time.monotonic() < deadline:
            client_alive(environ)
        return answering([b"dropped"])(environ, start_response)


@pytest.fixture
def view():
    view = View()
    yield view
    view.over.set()


@pytest.fixture
def wire(view):
    with open_wire(view) as wire:
        wire.sock.sendall(UPGRADING)
        assert view.begun.wait(DEADLINE)
        yield wire
        view.over.set()


def in_thread(call):
    """Call in a thread; returns a function that waits for the result."""
    results = []
    thread = threading.Thread(target=lambda: results.append(call()))
    thread.start()

    def wait():
        thread.join(DEADLINE)
        assert results, "it has not returned"
        return results[0]

    return wait


def test_the_first_send_takes_the_connection_over(wire, view):
    assert view.socket.send(b"hello") == 5
    view.over.set()
    reply = wire.finish()
    assert reply.kinds == [SWITCH, READ, DATA, END, IDLE]
    assert reply.body == b"hello"


def test_without_a_send_the_reply_is_the_view_s(wire, view):
    view.over.set()
    assert wire.finish().body == b"dropped"
    with pytest.raises(BrokenPipeError):
        view.socket.send(b"late")
    assert wire.ask().body == b"next"


def test_nothing_is_no_first_byte(wire, view):
    assert view.socket.send(b"") == 0
    view.over.set()
    assert wire.finish().body == b"dropped"


def test_much_is_sent_in_frames(wire, view):
    sending = in_thread(lambda: view.socket.send(memoryview(bytes(3 * DATA_FRAME + 1))))
    wire.read_until(lambda reply: len(reply.body) == 3 * DATA_FRAME + 1)
    assert sending() == 3 * DATA_FRAME + 1


def test_recv_asks_for_as_much_as_one_call_takes(wire, view):
    view.socket.send(b"101")
    assert wire.read_until(lambda reply: reply.credit).credit == 1
    receiving = in_thread(lambda: view.socket.recv(10))
    wire.read_until(lambda reply: reply.credit == 10)
    wire.send(BODY, b"abc")
    wire.send(BODY, b"defgh")
    got = receiving()
    got += b"" if len(got) == 8 else view.socket.recv(10)
    assert got == b"abcdefgh"
    wire.read_until(lambda reply: reply.credit == 18)  # 10 are still to come


def test_a_selector_sees_what_comes(wire, view):
    view.socket.send(b"101")
    with selectors.DefaultSelector() as selector:
        selector.register(view.socket, selectors.EVENT_READ)
        assert not selector.select(0)
        for piece in (b"a", b"b", b"c"):
            wire.send(BODY, piece)
            time.sleep(0.05)  # the view has asked, and taken nothing
            view.socket.send(b"in between")
            assert selector.select(DEADLINE)
            assert view.socket.recv(100) == piece
            assert not selector.select(0)


@pytest.mark.parametrize("frames", [pack(BODY_END), pack_about(CANCEL, 0, "the client left")])
def test_recv_returns_at_the_end(wire, view, frames):
    view.socket.send(b"101")
    receiving = in_thread(lambda: view.socket.recv(10))
    wire.sock.sendall(frames)
    assert receiving() == b""
    assert view.socket.recv(10) == b""


def test_after_a_cancel_nothing_can_be_sent(wire, view):
    view.socket.send(b"101")
    wire.send(CANCEL, b"the client left")
    assert view.socket.recv(10) == b""
    with pytest.raises(BrokenPipeError, match="the client left"):
        view.socket.sendall(b"more")


def test_close_ends_it_before_the_view_ends(wire, view):
    view.socket.send(b"101")
    view.socket.close()
    assert wire.read_until(lambda reply: END in reply.kinds).end == WHOLE
    assert (view.socket.fileno(), view.socket.recv(10)) == (-1, b"")
    with pytest.raises(BrokenPipeError):
        view.socket.send(b"more")
    view.socket.close()
    view.over.set()
    assert wire.finish().kinds.count(END) == 1


def test_a_thread_that_still_reads_does_not_keep_the_next_request(wire, view):
    """It receives the next request if that comes with what wakes it, and has to leave it to the lane."""
    view.socket.send(b"101")
    receiving = in_thread(lambda: view.socket.recv(10))
    wire.read_until(lambda reply: reply.credit == 10)
    view.over.set()
    wire.finish()
    wire.reply = Transcript()
    wire.sock.sendall(pack_about(CANCEL, 0, "the reply was complete") + build_request("/next"))
    assert wire.finish().body == b"next"
    assert receiving() == b""


def test_a_thread_that_is_left_behind_reaches_no_later_client(wire, view):
    view.socket.send(b"101")
    view.over.set()
    wire.finish()
    with pytest.raises(BrokenPipeError):
        view.socket.send(b"for somebody else")
    view.socket.close()
    assert view.socket.recv(10) == b""
    reply = wire.ask()
    assert (reply.body, reply.kinds) == (b"next", [REPLY, DATA, END, IDLE])


def test_others_are_given_none():
    found = []

    def app(environ, start_response):
        found.append(SOCKET in environ)
        return answering([b"ok"])(environ, start_response)

    with open_wire(app) as wire:
        wire.ask("/", b"")
        wire.ask("/", b"body", method="POST")
    assert found == [False, False]
