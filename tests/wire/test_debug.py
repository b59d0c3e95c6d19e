"""The debugger answers with --debug, on loopback, and never without it."""

import pytest

DEBUGGER_WORDS = (b"__debugger__", b"Werkzeug Debugger", b"werkzeug", b"EVALEX", b"Traceback")
SERVE = (
    "--native",
    "tests.apps.natives:routes",
    "--wsgi",
    "tests.apps.flask_views:app",
    "--wsgi-threads",
    "1",
)
FLASK = ("--native", "tests.apps.natives:routes", "--wsgi", "tests.apps.flask_views:flask_app")


@pytest.fixture
def debugged(start_server, form):
    return start_server(*FLASK, "--debug", form=form)


def test_a_raising_view_shows_the_debugger(debugged):
    reply = debugged.get("/flask/raises", [("Host", f"127.0.0.1:{debugged.port}")])
    assert reply.status == 500
    assert b"a secret of the view" in reply.body
    assert b"EVALEX" in reply.body
    style = debugged.get("/flask/raises?__debugger__=yes&cmd=resource&f=style.css", [("Host", "127.0.0.1")])
    assert style.status == 200
    assert b"{" in style.body


def test_a_raising_native_handler_shows_its_traceback(debugged):
    reply = debugged.get("/native/raises")
    assert reply.status == 500
    assert b"a secret of the handler" in reply.body


def test_ordinary_requests_are_served_under_debug(debugged):
    assert debugged.get("/flask/hello").text == "hello"
    assert debugged.get("/native/ping").text == "pong"


@pytest.mark.parametrize(
    "target",
    [
        "/console",
        "/flask/raises",
        "/flask/raises?__debugger__=yes&cmd=resource&f=style.css",
        "/?__debugger__=yes",
        "/flask/hello?__debugger__=yes&cmd=resource&f=debugger.js",
        "/console?__debugger__=yes&cmd=pinauth&pin=1&s=x",
        "/native/raises",
        "/native/ping?__debugger__=yes&cmd=resource&f=style.css",
    ],
)
def test_without_debug_the_debugger_never_answers(server, target):
    reply = server.get(target, [("Host", f"127.0.0.1:{server.port}")])
    assert not [word for word in DEBUGGER_WORDS if word in reply.body]
    assert b"secret" not in reply.body
