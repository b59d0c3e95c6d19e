"""WSGI code asks whether its client is still there, and nothing that it hears meanwhile is lost."""

import os
import time

import pytest

from tests.waterspout.processes import run_python, running_thread, wait_for_exit
from tests.waterspout.wsgi.wires import open_wire
from tests.waterspout.wsgi.worker.test_worker import TEXT
from waterspout.wsgi import client_alive
from waterspout.wsgi.frames import BODY, BODY_END, CANCEL, EOF, WHOLE

DEADLINE = 10.0


def test_outside_of_waterspout_a_client_is_taken_for_there():
    assert client_alive({}) is True
    assert client_alive({"wsgi.version": (1, 0)}) is True


def test_a_process_that_asks_loads_no_server():
    code = "from waterspout.wsgi import client_alive\nimport sys\nprint(client_alive({}), *sys.modules)"
    alive, *loaded = run_python(code).split()
    assert alive == "True"
    assert not {"tornado", "asyncio", "click", "socket"}.intersection(loaded)


def wait_until_gone(environ):
    """How often the client was still there; it must leave in time."""
    deadline = time.monotonic() + DEADLINE
    times = 0
    while client_alive(environ):
        assert time.monotonic() < deadline, "the client never left"
        times += 1
        time.sleep(0.001)
    return times


def app_of(answer):
    """An app that starts its reply, and whose body `answer(environ)` returns as text."""

    def app(environ, start_response):
        write = start_response("200 OK", TEXT)
        if environ["PATH_INFO"] == "/begun":
            write(b"begun;")
        return [str(answer(environ)).encode()]

    return app


def begin_and_leave(wire):
    """The client leaves when the view already runs."""
    wire.begin("/begun")
    wire.read_until(lambda reply: reply.body)
    wire.send(EOF)


@pytest.mark.parametrize("target", ["/", "/begun"])
def test_it_turns_false_when_the_request_is_cancelled(target):
    times = []
    with open_wire(app_of(lambda environ: times.append(wait_until_gone(environ)))) as wire:
        wire.begin(target)
        if target == "/begun":
            wire.read_until(lambda reply: reply.body)
        time.sleep(0.05)
        wire.send(CANCEL, b"the client left")
        assert (wire.finish().end, times[0] > 0) == (None, True)


def test_a_client_that_only_stopped_sending_still_gets_the_reply():
    with open_wire(app_of(lambda environ: f"gone after {wait_until_gone(environ) > 0}")) as wire:
        wire.begin("/")
        time.sleep(0.05)
        wire.send(EOF)
        reply = wire.finish()
        assert (reply.body, reply.end) == (b"gone after True", WHOLE)


def test_the_next_request_s_client_is_there():
    with open_wire(app_of(lambda environ: client_alive(environ))) as wire:
        assert wire.ask("/").body == b"True"
        wire.send(CANCEL, b"late")
        wire.send(EOF)
        assert wire.ask("/").body == b"True"


def test_what_it_hears_of_the_body_is_read_later():
    def read(environ):
        body = environ["wsgi.input"]
        first = body.read(1)
        deadline = time.monotonic() + DEADLINE
        while not environ["waterspout.lane"]._inbox.ended and time.monotonic() < deadline:
            assert client_alive(environ)
        return f"{client_alive(environ)} {len(first + body.read())}"

    with open_wire(app_of(read)) as wire:
        wire.begin("/", None, method="POST")
        wire.read_until(lambda reply: reply.credit)
        for _ in range(100):
            wire.send(BODY, bytes(1000))
        wire.send(BODY_END)
        assert wire.finish().body == b"True 100000"


def test_another_thread_hears_only_what_the_lane_s_own_has_heard():
    def ask(environ):
        heard = []
        with running_thread(lambda: heard.append(client_alive(environ))):
            pass
        wait_until_gone(environ)
        with running_thread(lambda: heard.append(client_alive(environ))):
            pass
        return heard

    with open_wire(app_of(ask)) as wire:
        begin_and_leave(wire)
        assert wire.finish().body == b"begun;[True, False]"


def test_an_old_environ_does_not_listen_for_the_next_request():
    kept = []

    def ask(environ):
        kept.append(environ)
        return [client_alive(each) for each in kept]

    with open_wire(app_of(ask)) as wire:
        assert wire.ask("/").body == b"[True]"
        assert wire.ask("/").body == b"[True, True]"


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # it has threads, and forks
def test_a_forked_child_does_not_listen_on_its_parent_s_lane():
    def fork(environ):
        child = os.fork()
        if child == 0:
            try:
                deadline = time.monotonic() + 1
                while time.monotonic() < deadline and client_alive(environ):
                    time.sleep(0.01)
            finally:
                os._exit(0 if client_alive(environ) else 1)
        code = wait_for_exit(child)
        return f"{code} {client_alive(environ)}"

    with open_wire(app_of(fork)) as wire:
        begin_and_leave(wire)
        assert wire.finish().body == b"begun;0 False"


def test_when_the_server_goes_the_client_is_gone():
    times = []
    with open_wire(app_of(lambda environ: times.append(wait_until_gone(environ)))) as wire:
        wire.begin("/")
        wire.sock.close()
    assert times
