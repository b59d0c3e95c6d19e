"""A native handler that fails ends its own request, and its client can tell."""

import asyncio

import pytest
from tornado.websocket import websocket_connect

from tests.server import ON_TORNADO, PATIENCE, new_id
from tests.wire.client import Cut

SERVE = ("--native", "tests.apps.native_failing:routes", "--wsgi", "tests.apps.working:app")
WAYS = ("raise", "exit", "panic", "generator", "send_error")
#: What is no `Exception`, and how the log names it.
BASE = {
    "exit": "SystemExit: 5",
    "panic": "native_failing.Panic",
    "group": "BaseExceptionGroup: several (2 sub-exceptions)",
    "generator": "GeneratorExit",
}
AMID_BODY = ("/fails-amid-body", "/fails-amid-body-later")


@pytest.fixture(scope="module")
def form():
    return "process"


@pytest.mark.parametrize("by", WAYS)
@pytest.mark.parametrize("length", ["", "yes"])
@pytest.mark.parametrize("path", ["/half", "/lean-half"])
def test_a_reply_that_can_t_be_completed_is_cut(server, path, length, by):
    ident = new_id()
    with pytest.raises(Cut):
        server.get(f"{path}?by={by}&length={length}&id={ident}")
    [line] = server.log_lines(f"{ident} 200 4B ")
    assert line.endswith(" cut")
    server.wait_for_note("finished", ident)


@pytest.mark.parametrize("by", WAYS)
def test_a_reply_without_a_length_is_cut_by_a_reset(server, by):
    """RFC 9112 section 8: it ends with the connection, and a clean end would say that it is complete."""
    with server.connect() as connection:
        connection.send_request("GET", f"/half?by={by}", version="1.0")
        with pytest.raises(ConnectionResetError):
            while connection.socket.recv(1000):
                pass


@pytest.mark.parametrize("by", ["more", "less"])
def test_a_reply_of_another_length_than_it_says_is_the_handler_s_fault(server, by):
    ident = new_id()
    with pytest.raises(Cut):
        server.get(f"/wrong-length?by={by}&id={ident}")
    assert server.log_lines(f"{ident} 200 ")[-1].endswith(" cut")
    assert server.wait_for_note("finished", ident)["closed"] == 0
    server.canary()
    assert len(server.notes("finished", ident)) == 1


@pytest.mark.parametrize("by", ["finish", "finished"])
def test_finish_is_no_failure(server, by):
    ident = new_id()
    with server.connect() as connection:
        assert connection.ask("GET", f"/half?by={by}&id={ident}").text == "half"
        server.canary(connection)
    [line] = [line for line in server.log_lines(ident) if "waterspout.access" in line]
    assert " 200 4B " in line
    assert not line.endswith(" cut")
    assert len(server.notes("finished", ident)) == 1


@pytest.mark.parametrize("by", BASE)
@pytest.mark.parametrize("where", ["", "-later", "-early", "-in-cache"])
def test_an_exit_is_an_exception_of_its_handler(server, where, by):
    ident = new_id()
    reply = server.get(f"/exits{where}?by={by}&id={ident}")
    assert (reply.status, "500: Internal Server Error" in reply.text) == (500, True)
    assert server.log_lines(f"Uncaught exception GET /exits{where}?by={by}&id={ident} ")
    assert server.log_lines(BASE[by])
    assert server.log_lines(f"waterspout.access 127.0.0.1 GET /exits{where}?by={by}&id={ident} 500 ")
    assert server.get("/native/ping").text == "pong"


@pytest.mark.parametrize("by", BASE)
@pytest.mark.parametrize("path", ["/exits-alone", "/exits-alone-streaming", "/own-execute"])
def test_the_same_where_a_handler_s_class_is_left_alone(server, path, by):
    ident = new_id()
    assert server.get(f"{path}?by={by}&id={ident}").status == 500
    assert server.log_lines(f"Uncaught exception GET {path}?by={by}&id={ident} ")
    assert server.get("/native/ping").text == "pong"


def test_a_keyboard_interrupt_ends_the_server(start_server):
    """As in asyncio: it may be a Ctrl+C where a program runs the application in an event loop of its own."""
    server = start_server(*SERVE)
    with server.connect() as connection:
        connection.send_request("GET", "/exits?by=interrupt")
        assert server.wait() == 1
    assert "KeyboardInterrupt" in server.log


@pytest.mark.parametrize("by", BASE)
def test_where_the_error_page_exits_too_the_connection_ends(server, by):
    with server.connect() as connection:
        connection.send_request("GET", f"/exits-twice?by={by}")
        assert connection.everything() == b""
    assert server.get("/native/ping").text == "pong"


@pytest.mark.parametrize(
    ("by", "status", "text"),
    [
        ("raise", 500, "500: "),
        ("exit", 500, "500: "),
        ("panic", 500, "500: "),
        ("status", 409, "409: Conflict"),
        ("finish", 200, "enough"),
    ],
)
@pytest.mark.parametrize("path", AMID_BODY)
def test_a_streaming_handler_may_raise_in_the_middle_of_its_body(server, path, by, status, text):
    """As anywhere else: the reply is the handler's own."""
    ident = new_id()
    with server.connect() as connection:
        fields = [("Content-Length", "30"), ("X-Request-Id", ident)]
        connection.send_request("PUT", f"{path}?by={by}&id={ident}", fields)
        connection.send(b"x" * 10)
        reply = connection.reply()
        assert (reply.status, reply.header("X-Request-Id")) == (status, ident)
        assert text in reply.text
        assert "secret" not in reply.text
        if not ON_TORNADO:  # its server closes without a word, and at once: docs/behaviour.md
            assert reply.header("Connection") == "close"
            connection.send(b"x" * 20)
        assert connection.everything() == b""
    assert len(server.log_lines(f"PUT {path}?by={by}&id={ident} {status}")) == 1
    server.wait_for_note("finished", ident)
    assert server.get("/native/ping").text == "pong"
    assert len(server.notes("finished", ident)) == 1
    assert server.notes("ran", ident) == []
    assert server.log.count(f"Uncaught exception PUT {path}?by={by}&id={ident}") == (status == 500)


@pytest.mark.parametrize("path", AMID_BODY)
def test_a_reply_that_has_begun_amid_the_body_is_cut(server, path):
    ident = new_id()
    with server.connect() as connection:
        connection.send_request("PUT", f"{path}?by=raise&begun=yes&id={ident}", [("Content-Length", "30")])
        connection.send(b"x" * 10)
        with pytest.raises(Cut):
            connection.reply()
    [line] = server.log_lines(f"{ident} 200 4B ")
    assert line.endswith(" cut")
    server.wait_for_note("finished", ident)


@pytest.mark.parametrize("by", BASE)
@pytest.mark.parametrize("path", ["/socket-exits", "/socket-exits-later", "/socket-exits-at-once"])
def test_an_exit_in_a_websocket(server, path, by):
    async def talk():
        websocket = await websocket_connect(f"ws://127.0.0.1:{server.port}{path}?by={by}")
        if not path.endswith("at-once"):
            await websocket.write_message(by)
        assert await websocket.read_message() is None
        assert websocket.close_code == 1011
        websocket.close()

    asyncio.run(asyncio.wait_for(talk(), PATIENCE))
    assert server.get("/native/ping").text == "pong"


def test_what_is_logged_of_an_exception_names_its_request(server):
    ident = new_id()
    server.get("/exits", [("X-Request-Id", ident)])
    assert any("Uncaught exception" in line for line in server.log_lines(ident))


@pytest.mark.parametrize(
    ("method", "path", "begun"),
    [("GET", "/waits", ""), ("GET", "/waits", "yes"), ("PUT", "/streamed-waits", "")],
)
def test_what_a_stop_cuts_is_not_the_client_s_fault(start_server, method, path, begun):
    server = start_server(*SERVE, "--graceful-timeout", "0.5")
    ident = new_id()
    with server.connect() as connection:
        connection.send_request(
            method, f"{path}?id={ident}&begun={begun}", body=b"x" if method == "PUT" else None
        )
        server.wait_for_note("ran", ident)
        server.signal(15)
        if begun:
            with pytest.raises(Cut):
                connection.reply()
        else:
            assert connection.reply().status == 503
    assert server.wait() == 0
    lines = server.log.splitlines()
    [line] = [line for line in lines if ident in line and "access" in line]
    assert line.endswith(" stopped")
    [said] = [line for line in lines if "1 native request is cut off: the graceful timeout is over" in line]
    assert lines[-1].endswith(" waterspout.server stopped")
    assert lines.index(said) < lines.index(line)
    assert "headers written" not in server.log
    assert "Traceback" not in server.log


STUBBORN = """
import asyncio
from tornado.web import RequestHandler

class Stubborn(RequestHandler):
    async def get(self):
        await self.flush()
        while True:
            try:
                await asyncio.sleep(60)
            except BaseException:
                pass

routes = [("/stubborn", Stubborn)]
"""


def test_a_handler_that_goes_on_when_it_is_cancelled_is_named(start_server, tmp_path):
    (tmp_path / "shop.py").write_text(STUBBORN)
    server = start_server("--native", "shop:routes", "--graceful-timeout", "0.5", cwd=tmp_path)
    with server.connect() as connection:
        connection.send_request("GET", "/stubborn?key=secret")
        connection.head()
        server.signal(15)
        server.wait()
    [line] = [line for line in server.log.splitlines() if "after being cancelled; " in line]
    assert "GET /stubborn is still running after being cancelled; currently at shop.py:10 in get" in line
    assert server.log_lines("after being cancelled (GET /stubborn): the graceful timeout is over")


def test_a_stop_says_nothing_of_a_stream_whose_client_had_left(start_server):
    """Its handler sleeps on, and is cancelled with the event loop."""
    server = start_server(*SERVE, "--graceful-timeout", "0.5")
    ident = new_id()
    with server.connect() as connection:
        connection.send_request("GET", f"/waits?id={ident}&begun=yes")
        connection.head()
        connection.reset()
    server.canary()
    server.signal(15)
    assert server.wait() == 0
    [line] = [line for line in server.log.splitlines() if ident in line and "access" in line]
    assert line.endswith(" client-left")
    assert "ERROR" not in server.log
