"""Flask's own names in a native handler, which is outside of Flask's requests."""

import logging

import flask
import flask_login
import pytest
from tornado.web import HTTPError, RequestHandler
from tornado.websocket import WebSocketHandler

from tests.waterspout.http import harness
from tests.waterspout.http.harness import on_loops
from waterspout import Application

POINTER = (
    "a native handler runs outside of Flask's requests: for what replaces request, session, g, url_for, "
    "abort, current_user and the like, see docs/routing.md (Porting a route)"
)
ASK = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


async def serve_and_ask(handler, request):
    application = Application([("/", handler)])
    try:
        async with harness.serve(application) as served, served.client() as client:
            client.send(request)
            status, _ = await client.head()
            await client.reader.read(10)
            return status
    finally:
        await application.stop()


def said(caplog):
    return [
        record.getMessage().partition(" GET")[0] for record in caplog.records if record.levelno > logging.INFO
    ]


@pytest.mark.parametrize(
    "use",
    [
        lambda: flask.request.args,
        lambda: flask.session["name"],
        lambda: flask.g.user,
        lambda: flask.current_app.config,
        lambda: flask.url_for("index"),
        lambda: flask.jsonify([]),
        lambda: flask.flash("x"),
        lambda: flask.render_template("x.html"),
        lambda: flask.send_file(__file__),
        lambda: flask.abort(404),
        lambda: flask_login.current_user.is_authenticated,
    ],
)
@on_loops
async def test_what_stands_for_it_is_named_behind_its_traceback(use, caplog):
    class Ported(RequestHandler):
        async def get(self):
            use()

    assert await serve_and_ask(Ported, ASK) == 500
    assert said(caplog) == ["Uncaught exception", POINTER]


@on_loops
async def test_in_a_socket_too(caplog):
    class Socket(WebSocketHandler):
        def open(self):
            flask.session["name"]

    assert await serve_and_ask(Socket, UPGRADE) == 101
    assert said(caplog) == ["Uncaught exception", POINTER]


@pytest.mark.parametrize(
    ("error", "lines"),
    [
        (RuntimeError("Working elsewhere"), ["Uncaught exception"]),
        (RuntimeError(), ["Uncaught exception"]),
        (ValueError("Working outside of request context."), ["Uncaught exception"]),
        (AttributeError("is_authenticated"), ["Uncaught exception"]),
        (AttributeError(name="name", obj=None), ["Uncaught exception"]),
        (AttributeError(name="get_id", obj="a user"), ["Uncaught exception"]),
        (HTTPError(404), []),
    ],
)
@on_loops
async def test_other_exceptions_are_what_they_were(error, lines, caplog):
    class Raises(RequestHandler):
        def get(self):
            raise error

    assert await serve_and_ask(Raises, ASK) == (500 if lines else 404)
    assert said(caplog) == lines
