"""Examples of docs/routing.md, served together as they stand there."""

import asyncio
import os
import re
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
from flask import Flask
from flask_login import encode_cookie
from itsdangerous import TimestampSigner
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.websocket import websocket_connect

from tests.server import ROOT, Server

DOCUMENT = Path(__file__).parent.parent / "docs" / "routing.md"
SETTINGS = """
SECRET_KEY = "a key"
SESSION_COOKIE_NAME = "shop"
PERMANENT_SESSION_LIFETIME = 60
"""
WEB = """
from flask import Flask, session
from flask_login import LoginManager, UserMixin, current_user, login_required

app = Flask("shop")
app.config.from_object("shop.settings")
logins = LoginManager(app)
logins.login_view = "auth.login"
app.add_url_rule("/login", "auth.login", lambda: "the form")


@logins.user_loader
def load_user(user_id):
    user = UserMixin()
    user.id = user_id
    return user


@app.get("/who")
def who():
    return session.get("_user_id", "nobody")


@app.route("/invoices", methods=["GET", "POST"])
@login_required
def invoices():
    return f"Flask's, of {current_user.id}"
"""
NEEDED = """
from types import SimpleNamespace

import tornado.websocket
import waterspout.native
from tornado.web import RequestHandler


async def find_user(user_id):
    return SimpleNamespace(name=user_id)
"""
ROUTES = """
@waterspout.authenticated
class Shop(API):
    def post(self):
        self.write("posted")


class TornadosPrices(ForScripts):
    @tornado.web.authenticated
    def get(self):
        self.write({})


@waterspout.authenticated
class Paper(Page):
    def get(self):
        self.write({})


@waterspout.replaces("invoices")
@waterspout.authenticated
class Forgetful(Invoices):
    def prepare(self):
        pass

    def get(self):
        self.write("let in")


@waterspout.authenticated
class Live(waterspout.native.live.StreamHandler):
    pass


@waterspout.authenticated
class Socket(tornado.websocket.WebSocketHandler):
    pass


routes = [
    ("/orders", Orders),
    ("/status", Status),
    ("/api", Shop),
    ("/prices", Prices),
    ("/tornado-prices", TornadosPrices),
    ("/paper", Paper),
    ("/invoices", Invoices),
    ("/forgetful", Forgetful),
    ("/live", Live),
    ("/socket", Socket),
]
"""

FACTORY = """
import datetime
import decimal

from flask import Flask, abort, flash, g, jsonify, render_template, request, session, url_for

VALUE = {"when": datetime.datetime(2026, 11, 29), "price": decimal.Decimal("1.50"), "at": "café", "1": [None]}


def create_app():
    app = Flask(__name__)
    app.secret_key = "a key"

    @app.before_request
    def greet():
        g.greeting = f"hello {session.get('name', 'stranger')}"

    @app.get("/in")
    def sign_in():
        session["name"] = "anna"
        flash("<welcome>")
        return url_for("main.explore", page=2)

    @app.get("/about")
    def about():
        return render_template("about.html", page=request.args.get("page", 1, type=int))

    @app.post("/json")
    def take():
        return request.get_json()

    @app.get("/json")
    def give():
        reply = jsonify(VALUE)
        reply.set_cookie("tab", 'café; "x"')
        return reply

    @app.errorhandler(404)
    def not_found(error):
        return "the app's own page", 404

    @app.get("/api/articles/<slug>")
    def article(slug):
        return f"Flask's {slug}"

    @app.get("/api/articles/feed")
    def feed():
        return "Flask's feed"

    return app
"""
BELOW = {"For": "192.0.2.1", "Proto": "https", "Host": "shop.example", "Port": "", "Prefix": "/app"}
TEMPLATE = (
    "{{ g.greeting }} {{ page }} {{ url_for('main.explore') }} {{ url_for('about', _external=True) }} "
    "{{ request.remote_addr }} {{ get_flashed_messages() }}\n"
)
PORTED = """
import json

import waterspout
from flask import Flask, abort, url_for
from shop import VALUE
from tornado.escape import json_decode
from tornado.routing import HostMatches, Rule
from tornado.web import HTTPError

keys = Flask("shop")

class Explore(RequestHandler):
    def get(self):
        self.write(str(int(self.get_query_argument("page", "1"))))


class Gone(RequestHandler):
    def get(self, by):
        self.set_header("X-Lost", "1")
        if by == "werkzeug":
            abort(404)
        raise HTTPError(404)


class JSON(RequestHandler):
    def post(self):
        self.write(json_decode(self.request.body))


class Parts(RequestHandler):
    def get(self, part):
        if part == "list":
            self.write([1])
        elif part == "json":
            self.set_header("Content-Type", "application/json")
            self.write(json.dumps([1]))
        elif part == "flask-json":
            self.set_header("Content-Type", "application/json")
            self.write(keys.json.dumps(VALUE, separators=(",", ":")) + "\\n")
        elif part == "cookie":
            self.write(self.get_cookie("tab").encode("latin-1").decode())
        elif part == "locale":
            self.write(self.locale.translate("Home"))
        elif part == "last":
            self.write(self.get_query_argument("x"))
        elif part == "url":
            path = self.reverse_url("article", slug="new")
            self.write(f"{self.request.protocol}://{self.request.host}{path}")
        elif part == "redirect":
            self.redirect(self.reverse_url("article", slug="new"))
        else:
            self.write(url_for("article", slug="new"))


class Article(RequestHandler):
    def get(self, slug):
        if slug == "feed":
            raise waterspout.Decline
        self.write(f"native {slug}")


class Ticket(RequestHandler):
    def get(self, number):
        if number > 9:
            raise waterspout.Decline
        self.write(f"ticket {number}")


routes = [
    ("/native/about", About),
    ("/gone/<by>", Gone),
    ("/native/json", JSON),
    ("/parts/<part>", Parts),
    waterspout.PathRule("/explore", Explore, name="main.explore"),
    Rule(HostMatches(r"api\\.example\\.com"), [("/tickets/<int:number>", Ticket)]),
    %s,
]
waterspout.know_native(flask_app, routes)
"""
#: The three ways out, each with the declarations that `waterspout routes --check` asks for.
WAYS_OUT = {
    "declining": '("/api/articles/<slug>", waterspout.replaces("article", "feed")(Article))',
    "pattern": r'(r"/api/articles/(?!feed$)([^/]+)", waterspout.replaces("article")(Article))',
    "rule": '("/api/articles/<slug>", waterspout.replaces("article")(Article)), '
    '("/api/articles/feed", waterspout.replaces("feed")(Explore))',
}


def find_blocks():
    return re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.S)


@pytest.fixture
def server(tmp_path):
    blocks = find_blocks()
    (login,) = [block for block in blocks if "FlaskSessions(keys)" in block]
    bases = [
        block
        for block in blocks
        if any(f"class {name}(" in block for name in ("API", "ForScripts", "Page", "KnownOrFlask"))
    ]
    assert len(bases) == 4
    handlers, application = re.split(r"(?m)^(?=app = )", login)
    package = tmp_path / "shop"
    package.mkdir()
    for name, code in (
        ("__init__", ""),
        ("settings", SETTINGS),
        ("web", WEB),
        ("native", "\n".join([NEEDED, handlers, *bases, ROUTES, application])),
    ):
        (package / f"{name}.py").write_text(code)
    options = ("--trusted-proxies", "127.0.0.1")
    server = Server("shop.native:app", *options, form="process", folder=tmp_path, cwd=tmp_path)
    yield server
    server.stop()


def sign(key, *, age=0):
    """A session cookie as the app made it `age` seconds ago."""
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


@pytest.mark.parametrize("path", ["/prices", "/tornado-prices", "/live"])
def test_a_script_that_nobody_has_signed_in_for_is_told_so(server, path):
    for method in ("GET", "HEAD"):
        reply = server.ask(method, path, [("Accept", "text/event-stream")])
        assert (reply.status, reply.header("Location"), reply.header("Vary")) == (401, None, "Cookie")


def test_a_script_that_somebody_has_signed_in_for_is_answered(server):
    assert server.get("/prices", sign("a key")).body == b'{"chairs": 12}'
    assert server.get("/tornado-prices", sign("a key")).status == 200


def test_a_socket_that_nobody_has_signed_in_for_is_refused(server):
    async def open_socket():
        await websocket_connect(f"ws://127.0.0.1:{server.port}/socket")

    with pytest.raises(HTTPClientError, match="403"):
        asyncio.run(open_socket())


def test_whoever_is_unknown_where_the_view_is_kept_is_flask_s(server):
    assert server.get("/invoices", sign("a key")).body == b'{"of": "anna"}'
    for method in ("GET", "POST"):
        reply = server.ask(method, "/invoices")
        assert (reply.status, reply.header("Location")) == (302, "/login?next=%2Finvoices")
    remembered = server.get("/invoices", [("Cookie", f"remember_token={encode_cookie('anna', 'a key')}")])
    assert remembered.body == b"Flask's, of anna"
    session = [("Cookie", remembered.header("Set-Cookie").partition(";")[0])]
    assert server.get("/invoices", session).body == b'{"of": "anna"}'


def test_who_forgets_to_decline_lets_in_nobody_all_the_same(server):
    assert server.get("/forgetful").status == 302
    assert server.get("/forgetful", sign("a key")).body == b"let in"


def test_an_address_that_is_asked_for_is_below_the_proxy_s_prefix(server):
    proxied = [("X-Forwarded-For", "192.0.2.1"), ("X-Forwarded-Prefix", "/app")]
    assert server.get("/paper", proxied).header("Location") == "/app/login?next=%2Fapp%2Fpaper"
    assert server.get("/orders", proxied).header("Location") == "/login?next=%2Fapp%2Forders"


def test_a_browser_s_question_is_answered_without_a_view(server):
    asks = [("Origin", "https://spa.example"), ("Access-Control-Request-Method", "POST")]
    with server.connect() as client:
        reply = client.ask("OPTIONS", "/api", asks)
        assert (reply.status, reply.header("Access-Control-Allow-Origin")) == (200, "https://spa.example")
        assert reply.header("Access-Control-Allow-Methods") == "GET, POST"


def compile_messages(messages):
    """A catalogue as msgfmt writes it (GNU gettext's manual, "The Format of GNU MO Files")."""
    head, table, texts = 28, b"", b""
    for text in (*messages, *messages.values()):
        data = text.encode()
        table += struct.pack("<2I", len(data), head + 16 * len(messages) + len(texts))
        texts += data + b"\0"
    numbers = (0x950412DE, 0, len(messages), head, head + 8 * len(messages), 0, 0)
    return struct.pack("<7I", *numbers) + table + texts


@pytest.fixture(params=WAYS_OUT)
def ported(request, tmp_path):
    examples = [block for block in find_blocks() if "class About" in block or "load_gettext" in block]
    assert len(examples) == 2
    package = tmp_path / "shop"
    (package / "templates").mkdir(parents=True)
    (package / "__init__.py").write_text(FACTORY)
    (package / "templates" / "about.html").write_text(TEMPLATE)
    folder = package / "translations" / "es" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    spanish = {"": "Content-Type: text/plain; charset=UTF-8\n", "Home": "Inicio"}
    (folder / "messages.mo").write_bytes(compile_messages(spanish))
    (tmp_path / "native.py").write_text("\n".join(examples) + PORTED % WAYS_OUT[request.param])
    return request.param, ("--native", "native:routes", "--wsgi", "shop:create_app()"), tmp_path


def test_what_is_said_of_a_route_that_is_ported_is_so(ported):
    way, words, folder = ported
    command = [sys.executable, "-m", "waterspout", "routes", "--check", *words]
    path = os.pathsep.join([str(folder), str(ROOT)])
    subprocess.run(command, cwd=folder, env=os.environ | {"PYTHONPATH": path}, check=True, timeout=60)
    trusted = ("--trusted-proxies", "127.0.0.1")
    server = Server(*words, *trusted, form="process", folder=folder, cwd=folder)
    with server.connect() as client:
        signed_in = client.ask("GET", "/in")
        assert signed_in.body == b"/explore?page=2"
        cookie = [("Cookie", signed_in.header("Set-Cookie").partition(";")[0])]
        below = [(f"X-Forwarded-{what}", value) for what, value in BELOW.items()]
        for fields, prefix, base, address in (
            (cookie, "", "http://h", "127.0.0.1"),
            (cookie + below, "/app", "https://shop.example/app", "192.0.2.1"),
        ):
            fields = [("Host", "h"), *fields]
            replies = [client.ask("GET", "/native/about?page=x", fields) for _ in range(2)]
            replies.append(client.ask("GET", "/about?page=x", fields))
            page = f"hello anna 1 {prefix}/explore {base}/about {address} [&#39;&lt;welcome&gt;&#39;]"
            assert [reply.body.decode() for reply in replies] == [page] * 3
            assert [reply.header("Vary") for reply in replies] == ["Cookie"] * 3
        assert client.ask("GET", "/explore?page=2").body == b"2"
        for path, status in (("/explore?page=x", 500), ("/gone/tornado", 404), ("/gone/werkzeug", 500)):
            reply = client.ask("GET", path)
            assert (reply.status, reply.header("X-Lost")) == (status, None)
        for path, status in (("/json", 400), ("/native/json", 500)):
            assert client.ask("POST", path, [("Content-Type", "application/json")], b"{").status == status
        for target, status, body in (
            ("/parts/list", 500, None),
            ("/parts/json", 200, b"[1]"),
            ("/parts/last?x=1&x=%202%20", 200, b"2"),
            ("/parts/last", 400, None),
            ("/parts/url", 200, b"http://x/api/articles/new"),
            ("/parts/redirect", 302, b""),
            ("/parts/flask", 500, None),
        ):
            reply = client.ask("GET", target, [("Host", "x")])
            assert (reply.status, reply.body if body is not None else None) == (status, body), target
        given = client.ask("GET", "/json")
        assert client.ask("GET", "/parts/flask-json").body == given.body
        tab = [("Cookie", given.header("Set-Cookie").partition("; Path")[0])]
        assert client.ask("GET", "/parts/cookie", tab).body == 'café; "x"'.encode()
        for languages, word in (("es-MX, en;q=0.5", b"Inicio"), ("en, es;q=0.5", b"Home"), ("fr", b"Home")):
            assert client.ask("GET", "/parts/locale", [("Accept-Language", languages)]).body == word
        for host, path, status, body in (
            ("api.example.com", "/tickets/1", 200, b"ticket 1"),
            ("api.example.com", "/tickets/10", 404, b"the app's own page"),
            ("example.com", "/tickets/1", 404, b"the app's own page"),
        ):
            reply = client.ask("GET", path, [("Host", host)])
            assert (reply.status, reply.body) == (status, body)
        assert client.ask("GET", "/api/articles/new").body == b"native new"
        feed = b"1" if way == "rule" else b"Flask's feed"
        assert client.ask("GET", "/api/articles/feed").body == feed
    server.stop()
    assert "shop:create_app() has also been called in the server" in server.log
    assert server.log.count("see docs/routing.md (Porting a route)") == 2


#: An app that finds its users in each of Flask-Login's ways.
ASKED = """
from flask import Flask
from flask_login import LoginManager, UserMixin, current_user, login_user


class User(UserMixin):
    id = name = "anna"


def create_app():
    app = Flask(__name__)
    app.secret_key = "a key"
    logins = LoginManager(app)
    logins.session_protection = "strong"
    logins.user_loader(lambda user_id: User())

    @logins.request_loader
    def find_by_token(request):
        token = request.headers.get("X-Token") or request.values.get("token")
        return User() if token == "annas" else None

    @app.post("/in")
    def sign_in():
        login_user(User())
        return ""

    @app.get("/invoices")
    def invoices():
        return "the view's"

    @app.get("/who")
    def who():
        return current_user.name if current_user.is_authenticated else "nobody"

    return app
"""
ASKING = """
from tornado.websocket import WebSocketHandler


@waterspout.authenticated
class Who(RequestHandler):
    def get(self):
        self.write(self.current_user.name)

    def post(self):
        self.write(self.current_user.name)


@waterspout.authenticated
class Socket(WebSocketHandler):
    def open(self):
        self.write_message(self.current_user.name)


routes = [("/native/who", Who), ("/socket", Socket), ("/invoices", Invoices)]
app = waterspout.Application(
    native=routes, wsgi="shop:create_app()", login_loader=load_user, login_url="/login"
)
"""


@pytest.fixture
def asking(tmp_path):
    blocks = find_blocks()
    (page,) = [block for block in blocks if "class About" in block]
    (loader,) = [block for block in blocks if "def ask_flask_login" in block]
    (tmp_path / "shop.py").write_text(ASKED)
    (kept,) = [block for block in blocks if "class KnownOrFlask" in block]
    (tmp_path / "native.py").write_text("\n".join([page, loader, "import waterspout", kept, ASKING]))
    options = ("--trusted-proxies", "127.0.0.1")
    server = Server("native:app", *options, form="process", folder=tmp_path, cwd=tmp_path)
    yield server
    server.stop()


def test_a_loader_that_asks_flask_login_knows_whom_views_know(asking):
    here, elsewhere = (("X-Forwarded-For", f"192.0.2.{number}") for number in (1, 2))
    signed_in = asking.ask("POST", "/in", [here])
    session = ("Cookie", signed_in.header("Set-Cookie").partition(";")[0])
    remembered = ("Cookie", f"remember_token={encode_cookie('anna', 'a key')}")
    with asking.connect() as client:
        for fields, is_known in (
            ([], False),
            ([session, here], True),
            ([session, elsewhere], False),  # session_protection
            ([remembered], True),
        ):
            view = client.ask("GET", "/who", fields)
            handlers = [client.ask(method, "/native/who", fields) for method in ("GET", "POST")]
            assert view.body == (b"anna" if is_known else b"nobody")
            assert [reply.status for reply in handlers] == ([200, 200] if is_known else [302, 403])
        for query, body in (("", b"the view's"), ("?token=annas", b'{"of": "anna"}')):
            assert client.ask("GET", f"/invoices{query}").body == body
        form = [("Content-Type", "application/x-www-form-urlencoded")]
        for method, target, body in (("GET", "?token=annas", None), ("POST", "", b"token=annas")):
            assert client.ask(method, f"/native/who{target}", form, body).body == b"anna"
        chunked = [*form, ("Transfer-Encoding", "chunked")]
        client.send_head("POST", "/native/who", chunked)
        client.send(b"b\r\ntoken=annas\r\n0\r\n\r\n")
        assert client.reply().body == b"anna"
        for fields, is_known in (
            ([("X-Token", "annas")], True),
            ([("X_Token", "annas")], False),  # which a proxy that sets X-Token lets pass
            ([("Cookie", "tab=1"), remembered], True),
        ):
            for path in ("/who", "/native/who"):
                assert (client.ask("GET", path, fields).body == b"anna") is is_known, (path, fields)

    async def open_socket():
        url = f"ws://127.0.0.1:{asking.port}/socket"
        socket = await websocket_connect(HTTPRequest(url, headers=dict([remembered])))
        assert await socket.read_message() == "anna"
        socket.close()
        assert await socket.read_message() is None

    asyncio.run(open_socket())
