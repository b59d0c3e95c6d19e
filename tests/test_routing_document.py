"""Examples of docs/routing.md, served together as they stand there."""

import re
import time
from pathlib import Path

import pytest
from flask import Flask
from itsdangerous import TimestampSigner

from tests.server import Server

DOCUMENT = Path(__file__).parent.parent / "docs" / "routing.md"
SETTINGS = """
SECRET_KEY = "a key"
SESSION_COOKIE_NAME = "shop"
PERMANENT_SESSION_LIFETIME = 60
"""
WEB = """
from flask import Flask, session

app = Flask("shop")
app.config.from_object("shop.settings")


@app.get("/who")
def who():
    return session.get("_user_id", "nobody")
"""
NEEDED = """
from types import SimpleNamespace

from tornado.web import RequestHandler


async def find_user(user_id):
    return SimpleNamespace(name=user_id)
"""
ROUTES = """
@waterspout.authenticated
class Shop(API):
    def post(self):
        self.write("posted")


routes = [("/orders", Orders), ("/status", Status), ("/api", Shop)]
"""


@pytest.fixture
def server(tmp_path):
    blocks = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.S)
    (login,) = [block for block in blocks if "def load_user" in block]
    (cors,) = [block for block in blocks if "class API" in block]
    handlers, application = re.split(r"(?m)^(?=app = )", login)
    package = tmp_path / "shop"
    package.mkdir()
    for name, code in (
        ("__init__", ""),
        ("settings", SETTINGS),
        ("web", WEB),
        ("native", "\n".join([NEEDED, handlers, cors, ROUTES, application])),
    ):
        (package / f"{name}.py").write_text(code)
    server = Server("shop.native:app", form="process", folder=tmp_path, cwd=tmp_path)
    yield server
    server.stop()


def sign(key, *, age=0):
    """A session as the app has made it so many seconds ago."""
    app = Flask("shop")
    app.secret_key = key
    serializer = app.session_interface.get_signing_serializer(app)
    made = int(time.time()) - age

    class Then(TimestampSigner):
        def get_timestamp(self):
            return made

    serializer.signer = Then
    return [("Cookie", f"shop={serializer.dumps({'_user_id': 'anna'})}")]


def test_both_sides_know_the_same_session(server):
    with server.connect() as client:
        for headers, known in (
            ([], False),
            (sign("a key"), True),
            (sign("a key", age=50), True),
            (sign("a key", age=70), False),
            (sign("another"), False),
        ):
            who = client.ask("GET", "/who", headers)
            orders = client.ask("GET", "/orders", headers)
            assert (who.body, orders.status) == ((b"anna", 200) if known else (b"nobody", 302))


def test_a_browser_s_question_is_answered_without_a_view(server):
    asks = [("Origin", "https://spa.example"), ("Access-Control-Request-Method", "POST")]
    with server.connect() as client:
        reply = client.ask("OPTIONS", "/api", asks)
        assert (reply.status, reply.header("Access-Control-Allow-Origin")) == (200, "https://spa.example")
        assert reply.header("Access-Control-Allow-Methods") == "GET, POST"
