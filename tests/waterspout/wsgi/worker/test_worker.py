"""One lane worker, one request after the other: from environ to close(), and what apps do in between."""

import contextvars
import errno
import json
import logging
import socket
import sys
import threading

import pytest

from tests.waterspout.wsgi.apps import app as views
from tests.waterspout.wsgi.wires import open_wire
from waterspout.wsgi.frames import CUT, DATA, END, IDLE, REPLY, THREAD, WHOLE

TEXT = [("Content-Type", "text/plain")]


class Lowered(list):
    """A list that doesn't yield what it holds."""

    def __iter__(self):
        return (chunk.lower() for chunk in super().__iter__())


class Watched:
    """An iterable that remembers which thread did what to it."""

    def __init__(self, chunks, close=None):
        self.threads = []
        self.closed = 0
        self._chunks = iter(chunks)
        self._close = close

    def __iter__(self):
        self.threads.append(threading.get_ident())
        return self

    def __next__(self):
        self.threads.append(threading.get_ident())
        return next(self._chunks)

    def close(self):
        self.threads.append(threading.get_ident())
        self.closed += 1
        if self._close is not None:
            raise self._close


def answering(iterable, status="200 OK", headers=TEXT):
    """An app that returns this iterable."""

    def app(environ, start_response):
        start_response(status, list(headers))
        return iterable

    return app


def failing(*chunks):
    yield from chunks
    raise ValueError("on the way")


@pytest.fixture
def views_wire():
    with open_wire(views) as wire:
        yield wire


def test_a_request_gets_its_reply_and_the_lane_is_free(views_wire):
    reply = views_wire.ask("/hello")
    assert (reply.status, reply.body, reply.end) == (200, b"hello", WHOLE)
    assert reply.kinds == [REPLY, DATA, END, IDLE]


def test_requests_follow_each_other(views_wire):
    for number in range(20):
        body = b"%d" % number
        assert views_wire.ask("/echo", body, method="POST").body == body


@pytest.mark.parametrize(("number", "lines"), [(errno.EIO, 1), (errno.EPIPE, 0), (errno.ECONNRESET, 0)])
def test_what_ends_a_lane_is_said_unless_its_other_end_is_gone(monkeypatch, caplog, number, lines):
    def fail(_):
        raise OSError(number, "of the system")

    monkeypatch.setattr("waterspout.wsgi.worker.worker.parse_request", fail)
    with open_wire(views) as wire:
        wire.begin("/hello")
        assert wire.is_closed()
    assert caplog.text.count("a lane is lost, with what it was running: ") == lines


@pytest.mark.parametrize(("number", "lines"), [(errno.ENOBUFS, 1), (errno.EPIPE, 0)])
def test_so_is_what_keeps_a_reply_from_being_sent(caplog, number, lines):
    errors = [OSError(number, "of the system")]

    class Choked(socket.socket):
        def sendall(self, data):
            if data[0] != THREAD and errors:
                raise errors.pop()
            super().sendall(data)

    with open_wire(views, kind=Choked) as wire:
        wire.begin("/hello")
        assert wire.is_closed()
    assert caplog.text.count("a lane is lost, with what it was running: ") == lines


@pytest.mark.parametrize("multithread", [True, False])
@pytest.mark.parametrize("multiprocess", [True, False])
def test_the_app_sees_its_environ(multithread, multiprocess):
    with open_wire(views, multithread=multithread, multiprocess=multiprocess) as wire:
        environ = json.loads(wire.ask("/describe?a=b", headers=[("X-Own", "1")], request_id="id-9").body)
    assert (environ["PATH_INFO"], environ["QUERY_STRING"], environ["HTTP_X_OWN"]) == ("/describe", "a=b", "1")
    assert environ["HTTP_X_REQUEST_ID"] == "id-9"
    assert environ["wsgi.multithread"] is multithread
    assert environ["wsgi.multiprocess"] is multiprocess


def test_what_the_app_writes_to_wsgi_errors_is_on_stderr(capfd):
    def app(environ, start_response):
        print("a word", file=environ["wsgi.errors"], flush=True)
        return answering([b""])(environ, start_response)

    sys.stderr.flush()
    with open_wire(app) as wire:
        wire.ask()
    assert "a word" in capfd.readouterr().err


@pytest.mark.parametrize(
    "iterable",
    [
        [b"one two"],
        (b"one two",),
        [b"one ", b"two"],
        iter([b"one ", b"", b"two"]),
        Watched([b"one two"]),
        Lowered([b"ONE TWO"]),
    ],
)
def test_any_iterable_will_do(iterable):
    with open_wire(answering(iterable)) as wire:
        reply = wire.ask()
    assert (reply.body, reply.end) == (b"one two", WHOLE)


@pytest.mark.parametrize("container", [list, tuple])
def test_the_length_of_a_single_chunk_is_known(container):
    with open_wire(answering(container([b"twelve bytes"]))) as wire:
        assert wire.ask().values("Content-Length") == ["12"]


def test_a_generator_may_start_its_response_late():
    def app(environ, start_response):
        start_response("202 Later", TEXT)
        yield b"late"

    with open_wire(app) as wire:
        reply = wire.ask()
    assert (reply.status, reply.body) == (202, b"late")


def test_one_that_does_is_stopped_where_nobody_may_have_its_bytes():
    went_on = []

    def app(environ, start_response):
        start_response("200 OK", TEXT)
        yield b"unwanted"
        went_on.append(environ)
        yield b"more"

    with open_wire(app) as wire:
        assert wire.ask(method="HEAD").end == WHOLE
    assert not went_on


def test_an_empty_chunk_behind_the_whole_body_is_no_mistake(caplog):
    with open_wire(answering([b"abc", b""], headers=[("Content-Length", "3")])) as wire:
        assert wire.ask().end == WHOLE
    assert not caplog.messages


def test_write_and_the_iterable_come_in_order():
    def app(environ, start_response):
        write = start_response("200 OK", TEXT)
        write(b"one ")
        write(b"two ")
        return [b"three"]

    with open_wire(app) as wire:
        assert wire.ask().body == b"one two three"


# --- close() and threads -------------------------------------------------------------------------------


@pytest.mark.parametrize("chunks", [[], [b"one"], [b"one", b"two"], [b""]])
@pytest.mark.parametrize(
    ("method", "status"), [("GET", "200 OK"), ("HEAD", "200 OK"), ("GET", "204 No Content")]
)
def test_the_iterable_is_closed_once_in_the_thread_that_ran_it(chunks, method, status):
    watched = Watched(chunks)
    with open_wire(answering(watched, status)) as wire:
        assert wire.ask(method=method).end == WHOLE
        worker = wire.thread.ident
    assert watched.closed == 1
    assert set(watched.threads) == {worker}


@pytest.mark.parametrize("status", ["200 OK", "204 No Content"])
def test_an_iterable_of_which_head_wants_nothing_is_closed_without_being_run(status):
    watched = Watched([b"unwanted"])
    with open_wire(answering(watched, status)) as wire:
        reply = wire.ask(method="HEAD")
    assert (reply.body, watched.closed, len(watched.threads)) == (b"", 1, 1)


@pytest.mark.parametrize("chunks", [failing(), failing(b"some"), ["text"], [b"some", None], [7]])
def test_an_iterable_that_fails_is_closed_once(chunks):
    watched = Watched(chunks)
    with open_wire(answering(watched)) as wire:
        wire.ask()
    assert watched.closed == 1


@pytest.mark.parametrize(("chunks", "end"), [(failing(), WHOLE), (failing(b"some"), CUT)])
def test_who_is_told_of_a_failure_waits_for_no_close(chunks, end):
    told = threading.Event()

    class Slow(Watched):
        def close(self):
            super().close()
            assert told.wait(30.0)

    watched = Slow(chunks)
    with open_wire(answering(watched)) as wire:
        wire.begin()
        reply = wire.read_until(lambda reply: reply.end is not None)
        assert (reply.status, reply.end, reply.idle) == (200 if end == CUT else 500, end, False)
        told.set()
        wire.finish()
    assert watched.closed == 1


@pytest.mark.parametrize("error", [ValueError("in close"), SystemExit(1), KeyboardInterrupt()])
def test_what_close_raises_changes_no_reply(error, caplog):
    with open_wire(answering(Watched([b"all ", b"there"], error))) as wire:
        reply = wire.ask("/here")
        assert (reply.status, reply.body, reply.end) == (200, b"all there", WHOLE)
        assert wire.ask().end is not None
    assert type(error).__name__ in caplog.text
    assert caplog.messages[0].startswith("request id-1: GET /here")
    assert caplog.messages[0].endswith(" raised")


def test_each_request_has_a_context_of_its_own():
    variable = contextvars.ContextVar("variable", default="untouched")

    def app(environ, start_response):
        start_response("200 OK", TEXT)
        found = variable.get()
        variable.set("changed")
        yield found.encode()
        yield b" " + variable.get().encode()

    with open_wire(app) as wire:
        assert [wire.ask().body for _ in range(2)] == [b"untouched changed"] * 2


# --- apps that fail ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "app",
    [
        lambda environ, start_response: 1 / 0,
        lambda environ: [b"too few arguments"],
        lambda environ, start_response: [b"never started"],
        lambda environ, start_response: None,
        answering(None),
        answering(7),
        answering("text"),
        answering(["text"]),
        answering(b"bytes"),
        answering([b"x"], "200OK"),
        answering([b"x"], "200 OK", [("Bad Name", "x")]),
        answering([b"x"], "200 OK", [("X", "a\nb")]),
        lambda environ, start_response: answering(failing())(environ, start_response),
    ],
)
def test_an_app_that_fails_before_the_first_byte_is_answered_for(app, caplog):
    with open_wire(app) as wire:
        reply = wire.ask("/path")
        assert (reply.status, reply.body, reply.end) == (500, b"500 Internal Server Error\n", WHOLE)
        assert wire.ask().status == 500
    assert "request id-1: GET /path raised" in caplog.text


@pytest.mark.parametrize(
    "error", [ValueError(), SystemExit(3), KeyboardInterrupt(), GeneratorExit(), OSError()]
)
def test_whatever_is_raised_the_lane_lives_on(error):
    calls = []

    def app(environ, start_response):
        calls.append(environ)
        if len(calls) == 1:
            raise error
        return answering([b"fine"])(environ, start_response)

    with open_wire(app) as wire:
        assert [wire.ask().status, wire.ask().status] == [500, 200]


@pytest.mark.parametrize(("returned", "is_app"), [(views, True), (None, False), ([3], False)])
def test_a_factory_that_was_taken_for_an_app_is_told(returned, is_app, caplog):
    with open_wire(lambda config, name: returned) as wire:
        assert wire.ask().status == 500
    assert ("if it is a factory that needs arguments" in caplog.text) == is_app


def test_an_app_that_fails_after_the_first_byte_cuts_the_reply(caplog):
    with open_wire(answering(failing(b"some"))) as wire:
        reply = wire.ask()
    assert (reply.status, reply.body, reply.end) == (200, b"some", CUT)
    assert "ValueError: on the way" in caplog.text


def test_a_body_that_is_too_short_cuts_the_reply(caplog):
    with open_wire(answering([b"abc"], headers=[("Content-Length", "5")])) as wire:
        assert wire.ask().end == CUT
    assert "3 of 5 bytes" in caplog.text


class Forgetful(logging.Filter):
    """Like many filters: it reads what is there only during a request."""

    def filter(self, record):
        raise RuntimeError("out of context")


@pytest.fixture
def forgetful():
    logger, broken = logging.getLogger("waterspout.wsgi"), Forgetful()
    logger.addFilter(broken)
    yield
    logger.removeFilter(broken)


@pytest.mark.parametrize(
    ("make", "status", "end", "what"),
    [
        (failing, 500, WHOLE, "request id-1: GET /path raised"),
        (lambda: failing(b"some"), 200, CUT, "request id-1: GET /path raised"),
        (
            lambda: Watched([b"some"], ValueError("on the way")),
            200,
            WHOLE,
            "request id-1: GET /path: close()",
        ),
    ],
    ids=["before the first byte", "behind it", "in close"],
)
def test_a_log_that_raises_costs_no_reply_and_the_app_s_error_is_said_all_the_same(
    make, status, end, what, forgetful, capfd
):
    with open_wire(lambda *call: answering(make())(*call)) as wire:
        for _ in range(2):
            reply = wire.ask("/path")
            assert (reply.status, reply.end) == (status, end)
    said = capfd.readouterr().err
    for text in (f"can't be logged: {what}", "ValueError: on the way", "RuntimeError: out of context"):
        assert said.count(text) == 2


def test_no_target_can_forge_a_line_of_the_log(caplog):
    with open_wire(views) as wire, caplog.at_level(logging.ERROR, "waterspout.wsgi"):
        wire.ask("/fails\x1b[2J\xe9/\r", method="GET")
    assert "/fails" in caplog.messages[0]
    assert caplog.messages[0].isprintable()
    assert caplog.messages[0].isascii()
