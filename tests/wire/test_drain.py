"""SIGTERM and Ctrl-C: what runs is finished, WebSockets are closed with a code, the exit code is 0."""

import base64
import os
import re
import signal
import time

import pytest

from tests.server import freeze, limited, new_id, poll
from tests.wire.client import Cut
from tests.wire.watched import OPS, Watched

SERVE = ("--native", "tests.apps.natives:routes", "--wsgi", "tests.apps.working:app")
#: Waiting for something that never ends would take the graceful timeout: 30 s.
SOON = 15.0
#: For a head that does not become whole a server that is not stopping waits longer: 15 s.
HEAD_TIMEOUT = 10.0
#: An idle client has half a second for its next request when a server stops; here it has longer.
PATIENT = limited(DRAIN_IDLE=3.0)
ENDINGS = {
    "Ctrl-C": lambda server: server.signal_group(signal.SIGINT),
    "SIGINT": lambda server: server.signal(signal.SIGINT),
    "SIGTERM": lambda server: server.signal(signal.SIGTERM),
    "SIGTERM to the group": lambda server: server.signal_group(signal.SIGTERM),
}


@pytest.fixture
def fresh(start_server, form):
    return start_server(*SERVE, form=form)


@pytest.fixture
def patient(start_server, form):
    """One that is in no hurry to close idle connections."""
    return start_server(*SERVE, form=form, python=PATIENT)


def begin(server, path):
    ident, connection = new_id(), server.connect()
    connection.send_request("GET", f"{path}?id={ident}")
    server.wait_for_note("ran", ident)
    return ident, connection


def refuses_connections(server):
    try:
        server.connect().close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:
        pass  # it came as the socket was being closed: try again
    return False


def assert_gone(server, status=0):
    assert server.wait() == status, server.log[-2000:]
    assert poll(lambda: not server.session_pids()), "left behind"


def test_clients_that_the_kernel_has_accepted_are_answered(fresh):
    """They have connected before the stop: closing the socket would reset them."""
    freeze(fresh.pid)
    connections = [fresh.connect() for _ in range(40)]
    for number, connection in enumerate(connections):
        connection.send_request("GET", "/native/ping" if number % 2 else "/quick")
    fresh.signal(signal.SIGTERM)
    fresh.signal(signal.SIGCONT)
    assert [connection.reply().status for connection in connections] == [200] * 40
    assert_gone(fresh)


@pytest.mark.parametrize("ending", ENDINGS)
def test_running_requests_are_answered_before_the_end(fresh, ending):
    requests = [begin(fresh, "/gated") for _ in range(8)]
    ENDINGS[ending](fresh)
    assert poll(lambda: refuses_connections(fresh)), "it still accepts"
    assert fresh.wait(0.3) is None
    for ident, _ in requests:
        fresh.open_gate(ident)
    for ident, connection in requests:
        reply = connection.reply()
        assert (reply.status, reply.text) == (200, f"done {ident}")
    assert_gone(fresh)


def test_who_waits_for_a_lane_is_answered_though_the_process_dies_meanwhile(start_server):
    server = start_server(*SERVE, *OPS, "--wsgi-threads", "1", form="process")
    watched = Watched(server)
    _, running = begin(server, "/gated")
    waiting = [server.connect() for _ in range(2)]
    for connection in waiting:
        connection.send_request("GET", "/canary?id=x")
    # At first they may count as running, behind the one that does.
    assert poll(lambda: watched.pool()["queue"]["length"] == 2)
    server.signal(signal.SIGTERM)
    assert server.log_lines("; 2 waiting for a lane")
    os.kill(*server.wsgi_pids(), signal.SIGKILL)
    assert running.reply().status == 502
    assert [connection.reply().status for connection in waiting] == [200, 200]
    assert server.log_lines("; starting another")
    assert_gone(server)


def test_a_stop_says_what_it_waits_for(fresh):
    requests = [begin(fresh, "/gated") for _ in range(2)]
    socket, native, stream = open_websocket(fresh), fresh.connect(), fresh.connect()
    stream.send_request("GET", "/native/beats")
    stream.head()
    native.send_request("GET", "/native/slow?seconds=60&secret=x")
    assert fresh.get("/native/ping").text == "pong"
    fresh.signal(signal.SIGTERM)
    (line,) = fresh.log_lines("stopping (SIGTERM)")
    what = r"; 3 running, the longest GET /gated for \d+ s; 1 native reply has begun; 1 WebSocket$"
    assert re.search(what, line)
    for ident, connection in requests:
        fresh.open_gate(ident)
        assert connection.reply().status == 200
    for connection in (socket, native, stream):
        connection.close()
    assert_gone(fresh)


def test_a_stop_says_that_bodies_are_arriving(fresh):
    """Of what is not handed to a handler or view before it is whole, nothing else tells."""
    connections = [fresh.connect() for _ in range(2)]
    for connection, path in zip(connections, ("/native/whole", f"/canary?id={new_id()}"), strict=True):
        connection.send_head("POST", path, [("Content-Length", "10")])
        connection.send(b"12345")
    whole = fresh.connect()
    for _ in range(2):
        fresh.canary(whole)
    fresh.signal(signal.SIGTERM)
    (line,) = fresh.log_lines("stopping (SIGTERM)")
    assert line.endswith("; 2 request bodies are arriving")
    for connection in connections:
        connection.send(b"67890")
        assert connection.reply().status == 200
    assert_gone(fresh)


def test_a_stop_that_waits_for_nothing_says_so_by_silence(fresh):
    assert fresh.get("/native/ping").text == "pong"
    fresh.stop()
    (line,) = fresh.log_lines("stopping (SIGTERM)")
    assert line.endswith("(a second SIGTERM or SIGINT ends it at once)")


@pytest.mark.parametrize("ending", ["Ctrl-C", "SIGTERM"])
def test_an_idle_server_ends_at_once(fresh, ending):
    fresh.canary()
    began = time.monotonic()
    ENDINGS[ending](fresh)
    assert_gone(fresh)
    assert time.monotonic() - began < SOON
    assert "Traceback" not in fresh.log


def test_a_running_stream_is_finished(fresh):
    ident, connection = begin(fresh, "/gated-stream")
    head = connection.head()
    assert connection.next_chunk(head) == b"first;"
    fresh.signal(signal.SIGTERM)
    assert poll(lambda: refuses_connections(fresh))
    fresh.open_gate(ident)
    assert connection.body_of(head).body == b"second"
    assert_gone(fresh)


def test_behind_a_stream_that_has_not_said_that_it_is_the_last_a_request_is_answered(patient):
    """A proxy that keeps the connection has sent it by then, and would answer its client with 502."""
    ident, connection = begin(patient, "/gated-stream")
    head = connection.head()
    assert connection.next_chunk(head) == b"first;"
    assert head.header("Connection") is None
    patient.signal(signal.SIGTERM)
    assert poll(lambda: refuses_connections(patient))
    patient.open_gate(ident)
    assert connection.body_of(head).body == b"second"
    reply = connection.ask("GET", f"/quick?id={new_id()}")
    assert (reply.status, reply.header("Connection")) == (200, "close")
    assert_gone(patient)


def test_a_running_upload_is_finished(fresh):
    ident, connection, body = new_id(), fresh.connect(), b"b" * 300_000
    connection.send_head("POST", f"/canary?id={ident}", [("Content-Length", str(len(body)))])
    connection.send(body[:150_000])
    # So that the first half is surely on its way to the app.
    assert connection.is_silent(0.3)
    fresh.signal(signal.SIGTERM)
    assert poll(lambda: refuses_connections(fresh))
    connection.send(body[150_000:])
    assert connection.reply().body.endswith(body)
    assert_gone(fresh)


def test_a_running_native_request_is_finished(fresh):
    connection = fresh.connect()
    connection.send_request("GET", "/native/slow?seconds=1.5")
    assert fresh.get("/native/ping").status == 200
    fresh.signal(signal.SIGTERM)
    assert connection.reply().text == "slept"
    assert_gone(fresh)


def test_idle_connections_do_not_hold_the_end_up(fresh):
    connections = [fresh.connect() for _ in range(3)]
    connections[0].ask("GET", "/native/ping")
    fresh.canary(connections[1])
    began = time.monotonic()
    fresh.signal(signal.SIGTERM)
    assert_gone(fresh)
    assert time.monotonic() - began < SOON
    assert [connection.everything() for connection in connections] == [b"", b"", b""]


def test_a_connection_that_was_made_just_before_may_still_send_its_request(patient):
    """It was accepted, and its request was on its way: the client can't know that it won't be read."""
    with patient.connect() as early, patient.connect() as silent:
        patient.canary()
        patient.signal(signal.SIGTERM)
        assert poll(lambda: refuses_connections(patient))
        reply = early.ask("GET", f"/quick?id={new_id()}")
        assert (reply.status, reply.header("Connection")) == (200, "close")
        assert silent.everything() == b""
    assert_gone(patient)


def test_a_head_that_does_not_become_whole_does_not_hold_the_end_up(patient):
    stuck, slow = patient.connect(), patient.connect()
    stuck.send(b"G")
    slow.send(b"GET /native/ping HTTP/1.1\r\nHo")
    patient.canary()
    began = time.monotonic()
    patient.signal(signal.SIGTERM)
    assert poll(lambda: refuses_connections(patient), pause=0.005)
    slow.send(b"st: x\r\n\r\n")
    reply = slow.reply()
    assert (reply.status, reply.header("Connection")) == (200, "close")
    assert stuck.everything() == b""
    assert_gone(patient)
    assert time.monotonic() - began < HEAD_TIMEOUT


@pytest.mark.parametrize("path", ["/native/ping", "/quick"])
def test_a_request_that_is_on_its_way_on_a_kept_connection_is_answered(patient, path):
    """A proxy that sent it just then could not know of the stop, and may not repeat a POST."""
    kept = patient.connect()
    patient.canary(kept)
    patient.signal(signal.SIGTERM)
    assert poll(lambda: refuses_connections(patient), pause=0.005)
    reply = kept.ask("GET", path)
    assert (reply.status, reply.header("Connection").lower()) == (200, "close")
    assert kept.everything() == b""
    assert_gone(patient)


def test_a_request_on_a_kept_connection_while_it_stops_is_answered_or_the_connection_closed(fresh):
    kept = fresh.connect()
    fresh.canary(kept)
    ident, running = begin(fresh, "/gated")
    fresh.signal(signal.SIGTERM)
    assert poll(lambda: refuses_connections(fresh))
    try:
        reply = kept.ask("GET", "/native/ping")
        assert reply.status in (200, 503)
        assert reply.header("Connection").lower() == "close"
    except (Cut, ConnectionError):
        assert kept.buffer == b""
    fresh.open_gate(ident)
    assert running.reply().status == 200
    assert_gone(fresh)


def open_websocket(server, path="/native/ws"):
    connection = server.connect()
    key = base64.b64encode(b"0123456789abcdef").decode()
    connection.send_head(
        "GET",
        path,
        [
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", key),
        ],
    )
    assert connection.reply().status == 101
    return connection


def next_frame(connection):
    """(opcode, payload) of one unmasked frame."""
    first, size = connection.take(2)
    if size >= 126:
        size = int.from_bytes(connection.take(2 if size == 126 else 8), "big")
    return first & 0x0F, connection.take(size)


def mask(payload):
    key = b"\x01\x02\x03\x04"
    return key + bytes(byte ^ key[place % 4] for place, byte in enumerate(payload))


@pytest.mark.parametrize("ending", ["Ctrl-C", "SIGTERM"])
def test_a_websocket_is_closed_with_1001(fresh, ending):
    connection = open_websocket(fresh)
    ENDINGS[ending](fresh)
    assert_closed(connection, 1001)
    assert_gone(fresh)


CONNECTING = """
import errno, socket
from tornado.websocket import WebSocketHandler

class Connecting(WebSocketHandler):
    def open(self):
        self.address = self.ws_connection.stream.socket.getsockname()

    def close(self, *args):
        with socket.socket() as client:
            found = client.connect_ex(self.address)
        with open("found", "a") as file:
            print(errno.errorcode.get(found, "connected"), file=file)
        super().close(*args)

routes = [("/connecting", Connecting)]
"""


@pytest.mark.parametrize("form", ["httptools", "tornado"])
def test_nobody_can_connect_while_websockets_are_closed(start_server, tmp_path, form):
    """There may be thousands: who connected meanwhile would be reset."""
    (tmp_path / "connecting.py").write_text(CONNECTING)
    server = start_server("--native", "connecting:routes", "--server", form, cwd=tmp_path)
    connection = open_websocket(server, "/connecting")
    server.signal(signal.SIGTERM)
    assert_closed(connection, 1001)
    assert_gone(server)
    assert (tmp_path / "found").read_text().split()[0] == "ECONNREFUSED"


STOCK = """
import tornado.web, waterspout
from tests.apps.natives import Socket

stock = tornado.web.Application([("/native/ws", Socket)])
nested = waterspout.Application([("/native/.*", stock)])
"""


@pytest.mark.parametrize("name", ["stock", "nested"])
@pytest.mark.parametrize("server", ["httptools", "tornado"])
def test_a_websocket_of_a_stock_application_is_cut(start_server, tmp_path, name, server):
    (tmp_path / "site_sockets.py").write_text(STOCK)
    served = start_server(f"site_sockets:{name}", "--server", server, cwd=tmp_path)
    connection = open_websocket(served)
    served.signal(signal.SIGTERM)
    with pytest.raises(Cut):
        connection.take(1)
    assert_gone(served)


def assert_slow_reader_gets_all(fresh, request, code):
    """What its handler sent on this request: eight megabytes, and after them a close with this code."""
    connection = open_websocket(fresh)
    connection.send(bytes([0x81, 0x80 | len(request)]) + mask(request))
    assert fresh.get("/native/ping").text == "pong"
    fresh.signal(signal.SIGTERM)
    assert poll(lambda: refuses_connections(fresh))
    time.sleep(1.0)
    for _ in range(8):
        assert next_frame(connection) == (2, bytes(1_000_000))
    assert_closed(connection, code)
    assert_gone(fresh)


def assert_closed(connection, code):
    opcode, payload = next_frame(connection)
    assert (opcode, int.from_bytes(payload[:2], "big")) == (8, code)
    connection.send(b"\x88\x82" + mask(payload[:2]))


def test_a_websocket_that_is_slow_to_read_gets_what_was_sent_and_the_1001(start_server):
    fresh = start_server(*SERVE)
    assert_slow_reader_gets_all(fresh, b"flood", 1001)


@pytest.mark.parametrize("form", ["asyncio", "uvloop", "tornado"])
def test_a_websocket_that_its_handler_has_closed_gets_what_was_sent(start_server, form):
    options = ("--server", form) if form == "tornado" else ("--loop", form)
    fresh = start_server(*SERVE, *options)
    assert_slow_reader_gets_all(fresh, b"farewell", 1000)


def test_a_websocket_that_reads_nothing_does_not_hold_the_end_up(start_server):
    fresh = start_server(*SERVE)
    connection = open_websocket(fresh)
    connection.send(b"\x81\x85" + mask(b"flood"))
    assert fresh.get("/native/ping").text == "pong"
    began = time.monotonic()
    fresh.signal(signal.SIGTERM)
    assert_gone(fresh)
    assert time.monotonic() - began < SOON


def test_a_websocket_that_never_answers_the_close_does_not_hold_the_end_up_for_ever(start_server, form):
    server = start_server(*SERVE, "--graceful-timeout", "2", form=form)
    connection = open_websocket(server)
    server.signal(signal.SIGTERM)
    assert next_frame(connection)[0] == 8
    assert server.wait() is not None


HANDLING = """
import asyncio, sys
from tornado.websocket import WebSocketHandler

class Handling(WebSocketHandler):
    async def on_message(self, message):
        try:
            print("begun", file=sys.stderr)
            await asyncio.sleep(float(message))
            print("handled", file=sys.stderr)
            await self.write_message("handled")
        finally:
            print("after", message, file=sys.stderr)

    def on_close(self):
        print("on_close", file=sys.stderr)

routes = [("/handling", Handling)]
"""


@pytest.fixture(params=["asyncio", "uvloop", "tornado"])
def handling(request, start_server, tmp_path):
    (tmp_path / "handling.py").write_text(HANDLING)
    options = ("--server", "tornado") if request.param == "tornado" else ("--loop", request.param)

    def start(*more):
        return start_server("--native", "handling:routes", *options, *more, cwd=tmp_path)

    return start


def test_a_message_that_a_handler_is_at_work_on_is_finished(handling):
    server = handling()
    connection = open_websocket(server, "/handling")
    connection.send(b"\x81\x81" + mask(b"7"))  # longer than a client has to answer the close
    assert server.log_lines("begun")
    server.signal(signal.SIGTERM)
    assert next_frame(connection)[0] == 8
    assert_gone(server)
    assert re.findall(r"^(handled|after 7|on_close|.* (?:stopped|ERROR .*))$", server.log, re.M)[:3] == [
        "handled",
        "after 7",
        "on_close",
    ]
    assert "ERROR" not in server.log


def test_or_cut_off_when_the_graceful_timeout_is_over(handling):
    server = handling("--graceful-timeout", "1")
    connection = open_websocket(server, "/handling")
    connection.send(b"\x81\x82" + mask(b"60"))
    assert server.log_lines("begun")
    server.signal(signal.SIGTERM)
    assert_gone(server)
    said = [line.split(" waterspout.server ")[-1] for line in server.log.splitlines()[-4:]]
    assert said == [
        "1 WebSocket message is cut off: the graceful timeout is over",
        "after 60",
        "on_close",
        "stopped",
    ]


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_that_of_a_client_that_has_left_does_not_hold_the_end_up(handling, when):
    server = handling()
    connection = open_websocket(server, "/handling")
    connection.send(b"\x81\x82" + mask(b"60"))
    assert server.log_lines("begun")
    if when == "before":
        connection.close()
        time.sleep(0.2)  # heard later, it is as if it left meanwhile
    server.signal(signal.SIGTERM)
    began = time.monotonic()
    if when == "meanwhile":
        connection.close()
    assert_gone(server)
    assert time.monotonic() - began < SOON
    assert server.log.splitlines()[-3:-1] == ["after 60", "on_close"]
    assert "ERROR" not in server.log


NOTING = """
from tornado.websocket import WebSocketHandler

class Noting(WebSocketHandler):
    def open(self, name):
        self.name = name

    def on_close(self):
        with open("closed", "a") as file:
            print(self.name, file=file)
        raise LookupError("once its name is there")

routes = [(r"/noting/(\\w+)", Noting)]
"""


@pytest.mark.parametrize("form", ["asyncio", "uvloop", "tornado"])
def test_the_handlers_of_those_that_never_answer_the_close_hear_of_the_end(start_server, tmp_path, form):
    (tmp_path / "noting.py").write_text(NOTING)
    options = ("--server", form) if form == "tornado" else ("--loop", form)
    server = start_server("--native", "noting:routes", *options, cwd=tmp_path)
    silent = [open_websocket(server, f"/noting/{name}") for name in ("first", "second")]
    answering = open_websocket(server, "/noting/third")
    server.signal(signal.SIGTERM)
    assert_closed(answering, 1001)
    assert [next_frame(connection)[0] for connection in silent] == [8, 8]
    assert_gone(server)
    assert sorted((tmp_path / "closed").read_text().split()) == ["first", "second", "third"]


def test_an_event_stream_is_ended_cleanly(fresh):
    connection = fresh.connect()
    connection.send_request("GET", "/native/events?topic=x")
    head = connection.head()
    assert b"ready" in connection.next_chunk(head)
    fresh.signal(signal.SIGTERM)
    assert connection.body_of(head).body == b""
    assert_gone(fresh)


def assert_ended_soon(server, connection, began):
    """The stream begins, ends cleanly, and the server with it."""
    head = connection.head()
    assert b"ready" in connection.next_chunk(head)
    assert connection.body_of(head).body == b""
    assert_gone(server)
    assert time.monotonic() - began < SOON


def test_a_stream_that_is_asked_for_while_it_stops_does_not_hold_the_end_up(patient):
    """On a connection that was idle at the stop; its client asks again and again, as a browser does."""
    connection = patient.connect()
    patient.canary(connection)
    began = time.monotonic()
    patient.signal(signal.SIGTERM)
    assert poll(lambda: refuses_connections(patient), pause=0.005)
    connection.send_request("GET", "/native/events?topic=x")
    assert_ended_soon(patient, connection, began)


def test_a_stream_that_a_running_request_begins_late_does_not_hold_the_end_up(start_server):
    fresh = start_server(*SERVE)
    connection = fresh.connect()
    connection.send_request("GET", "/native/events?topic=x&after=1.5")
    assert fresh.get("/native/ping").text == "pong"
    began = time.monotonic()
    fresh.signal(signal.SIGTERM)
    assert_ended_soon(fresh, connection, began)


@pytest.mark.parametrize("path", ["/stuck", "/gated"])
def test_what_does_not_finish_in_time_is_ended(start_server, form, path):
    server = start_server(*SERVE, "--graceful-timeout", "1", form=form)
    _, connection = begin(server, path)
    server.signal(signal.SIGTERM)
    assert server.wait() is not None
    assert poll(lambda: not server.session_pids()), "left behind"
    assert b"done" not in connection.everything()


@pytest.mark.parametrize(
    ("name", "option", "waits"),
    [("native", [], 1), ("around", [], 1), ("both", ["--graceful-timeout", "0.5"], 0.5)],
)
def test_an_application_says_how_long_a_stop_waits_unless_an_option_does(start_server, name, option, waits):
    server = start_server(f"tests.apps.brief:{name}", *option)
    connection = server.connect()
    connection.send_request("GET", "/native/slow?seconds=20")
    assert server.get("/native/ping").text == "pong"
    server.signal(signal.SIGTERM)
    assert connection.reply().status == 503
    assert server.log_lines(f"running requests get at most {waits} s")
    assert_gone(server)


@pytest.fixture(params=["asyncio", "uvloop"])
def start_leaving(request, start_server, tmp_path):
    """A server that has something to do at its exit, and the file that tells how far it has come with it."""

    def start(**options):
        sent = tmp_path / "sent"
        words = ("--native", "tests.apps.slow_exit:routes", "--loop", request.param)
        return start_server(*words, env={"SENT": str(sent)}, **options), sent

    return start


def test_a_second_signal_soon_after_the_first_does_not_end_what_is_done_at_the_exit(start_leaving):
    """As `timeout` sends it: to its child, and then to the child's process group."""
    server, sent = start_leaving(python=limited(SAME_SIGNAL=20.0))
    server.signal(signal.SIGTERM)
    assert poll(sent.exists)
    server.signal(signal.SIGTERM)
    assert server.wait() == 0
    assert sent.read_text() == "all"


def test_nor_does_a_reload_that_nobody_is_left_to_do(start_leaving):
    server, sent = start_leaving()
    server.signal(signal.SIGTERM)
    assert poll(sent.exists)
    server.signal(signal.SIGHUP)
    assert server.wait() == 0
    assert sent.read_text() == "all"


def test_a_wsgi_process_obeys_its_server_and_no_signal_of_the_group(fresh):
    pids = fresh.wsgi_pids()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        for pid in pids:
            os.kill(pid, number)
    fresh.canary()
    assert fresh.wsgi_pids() == pids
    fresh.signal(signal.SIGTERM)
    assert_gone(fresh)


STOPS = """
import ast
import asyncio
import sys

from tornado.ioloop import IOLoop
from tornado.web import Application, RequestHandler


class Quit(RequestHandler):
    def get(self):
        self.write("bye")
        IOLoop.current().stop()
        IOLoop.current().call_later(1.5, IOLoop.current().stop)  # some programs ask again and again


class Exit(RequestHandler):
    def get(self):
        self.write("bye")
        for delay in (0, 1.5):
            IOLoop.current().call_later(delay, sys.exit, *map(ast.literal_eval, self.get_arguments("code")))


class Slow(RequestHandler):
    async def get(self):
        await asyncio.sleep(3)
        self.write("slow")


app = Application([("/quit", Quit), ("/exit", Exit), ("/slow", Slow)])
"""


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_an_application_that_stops_the_event_loop_stops_the_server(start_server, tmp_path, loop):
    """As it stops a program that ends with `IOLoop.current().start()`."""
    (tmp_path / "quitting.py").write_text(STOPS)
    server = start_server("quitting:app", "--loop", loop, cwd=tmp_path)
    slow = server.connect()
    slow.send_request("GET", "/slow")
    assert server.get("/quit").text == "bye"
    assert slow.reply().text == "slow"
    assert_gone(server)
    assert server.log_lines("stopping (the application has stopped the event loop): running requests")
    assert "Traceback" not in server.log


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize(
    ("query", "status", "said"), [("", 0, "None"), ("?code=3", 3, "3"), ("?code='broken'", 1, "'broken'")]
)
def test_an_application_that_exits_in_a_callback_stops_the_server(
    start_server, tmp_path, loop, query, status, said
):
    """With its status, for whoever supervises the server."""
    (tmp_path / "quitting.py").write_text(STOPS)
    server = start_server("quitting:app", "--loop", loop, cwd=tmp_path)
    slow = server.connect()
    slow.send_request("GET", "/slow")
    assert server.get("/exit" + query).text == "bye"
    assert slow.reply().text == "slow"
    assert_gone(server, status)
    assert server.log_lines(f"stopping (the application has called sys.exit({said})): running requests")
    assert "Traceback" not in server.log
