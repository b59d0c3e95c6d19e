"""Native handlers know a user who signed in with Flask."""

import secrets
import time
import uuid
from datetime import timedelta
from types import SimpleNamespace
from unittest import mock

import pytest
from flask import Flask, session
from flask.sessions import SecureCookieSessionInterface, SessionInterface
from itsdangerous import Signer
from tornado.httputil import HTTPHeaders

from waterspout.logs.tally import Tally
from waterspout.service.sessions import FlaskSessions


def make_app(key="a key", **config):
    app = Flask("app")
    app.secret_key = key
    app.config.update(config)

    @app.post("/sign-in/<name>")
    def sign_in(name):
        session["_user_id"] = name
        return "welcome"

    return app


def sign_in(app, name="anna"):
    client = app.test_client()
    client.post(f"/sign-in/{name}")
    return client.get_cookie(app.config["SESSION_COOKIE_NAME"]).value


def request_with(*cookies):
    """As much of a handler as reading its cookies needs. Each cookie: (name, value)."""
    headers = HTTPHeaders({"Cookie": "; ".join(f"{name}={value}" for name, value in cookies)})
    return SimpleNamespace(request=SimpleNamespace(headers=headers))


@pytest.mark.parametrize("config", [{}, {"SESSION_COOKIE_NAME": "shop"}])
def test_who_signed_in_is_read_by_an_app_of_the_same_key(config):
    cookie = sign_in(make_app(**config))
    sessions = FlaskSessions(make_app(**config))
    assert (
        sessions.read(request_with((config.get("SESSION_COOKIE_NAME", "session"), cookie)))["_user_id"]
        == "anna"
    )


@pytest.mark.parametrize("cookies", [[], [("session", "")], [("session", "a.b.c")], [("session", "\xe9")]])
def test_what_is_no_session_is_an_empty_one(cookies):
    assert FlaskSessions(make_app()).read(request_with(*cookies)) == {}


def test_of_two_it_is_the_one_that_flask_takes():
    app = make_app()
    cookies = [("session", sign_in(app, "anna")), ("session", sign_in(app, "ben"))]
    with app.test_request_context(headers={"Cookie": request_with(*cookies).request.headers["Cookie"]}):
        assert FlaskSessions(app).read(request_with(*cookies))["_user_id"] == session["_user_id"]


def test_neither_is_that_of_another_key_nor_one_that_is_too_old():
    cookie = ("session", sign_in(make_app()))
    assert FlaskSessions(make_app("another")).read(request_with(cookie)) == {}
    old = make_app(PERMANENT_SESSION_LIFETIME=timedelta(seconds=-1))
    assert FlaskSessions(old).read(request_with(cookie)) == {}


FOREIGN = (
    "a session cookie is not signed with the SECRET_KEY that FlaskSessions has: give it the settings that "
    "the app loads (a key that is made at each start, as by os.urandom, differs in each process)"
)
KEPT_ELSEWHERE = (
    "a session cookie is not in Flask's own format, but shaped like an identifier: if the app keeps its "
    "sessions elsewhere (Flask-Session), let the login_loader read them there; FlaskSessions can't "
    "(docs/routing.md, Asking the app's own code)"
)


@pytest.mark.parametrize("name", ["anna", "a" * 3000])  # the long one is compressed
def test_a_session_of_another_key_is_said_once_in_a_while(caplog, name):
    cookie = ("session", sign_in(make_app(), name))
    sessions = FlaskSessions(make_app("another"))
    for _ in range(3):
        assert sessions.read(request_with(cookie)) == {}
    assert caplog.messages == [FOREIGN]
    sessions._foreign = Tally(0)
    sessions.read(request_with(cookie))
    assert caplog.messages == [FOREIGN, FOREIGN]


def test_what_was_not_said_is_counted(caplog):
    cookie = ("session", sign_in(make_app()))
    sessions = FlaskSessions(make_app("another"))
    sessions._foreign = Tally(0.2)
    for _ in range(3):
        sessions.read(request_with(cookie))
    time.sleep(0.3)
    sessions.read(request_with(cookie))
    assert caplog.messages == [FOREIGN, FOREIGN.replace("a session cookie is", "3 session cookies are")]


SIGNER = Signer("a key", salt="flask-session", key_derivation="hmac")


@pytest.mark.parametrize(
    "identifier",
    [
        secrets.token_urlsafe(32),
        str(uuid.uuid4()),
        uuid.uuid4().hex,
        SIGNER.sign(secrets.token_urlsafe(32)).decode(),
        SIGNER.sign(str(uuid.uuid4())).decode(),
    ],
    ids=["token", "uuid", "hex", "signed-token", "signed-uuid"],
)
def test_sessions_that_are_kept_elsewhere_are_said_once_in_a_while(caplog, identifier):
    cookie = ("session", identifier)
    sessions = FlaskSessions(make_app())
    for _ in range(3):
        assert sessions.read(request_with(cookie)) == {}
    assert caplog.messages == [KEPT_ELSEWHERE]
    assert sessions.read(request_with(("session", sign_in(make_app("another"))))) == {}
    assert caplog.messages == [KEPT_ELSEWHERE, FOREIGN]
    sessions._kept_elsewhere = Tally(0)
    sessions.read(request_with(cookie))
    assert caplog.messages == [KEPT_ELSEWHERE, FOREIGN, KEPT_ELSEWHERE]


def forge(age, key="another"):
    """A session that was signed with `key`, `age` seconds ago."""
    moment = time.time() - age
    with mock.patch("itsdangerous.timed.time.time", return_value=moment):
        return (
            SecureCookieSessionInterface().get_signing_serializer(make_app(key)).dumps({"_user_id": "anna"})
        )


@pytest.mark.parametrize(
    "cookie",
    [
        "",
        "a.b.c",
        "a-token-of-someone-else",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJl",  # a JWT
        forge(age=32 * 24 * 3600),
        forge(age=32 * 24 * 3600, key="a key"),
        forge(age=-3600),
    ],
)
def test_nothing_is_said_of_what_would_not_count_anyway(caplog, cookie):
    assert FlaskSessions(make_app()).read(request_with(("session", cookie))) == {}
    assert caplog.messages == []


def test_an_older_key_still_counts():
    cookie = ("session", sign_in(make_app("old")))
    app = make_app("new", SECRET_KEY_FALLBACKS=["old"])
    assert FlaskSessions(app).read(request_with(cookie))["_user_id"] == "anna"


def test_an_app_whose_sessions_can_t_be_read_is_refused():
    with pytest.raises(ValueError, match="the app has no SECRET_KEY"):
        FlaskSessions(make_app(None))
    app = make_app()
    app.session_interface = SessionInterface()
    with pytest.raises(
        ValueError, match="keeps its sessions elsewhere: let the login_loader read them there"
    ):
        FlaskSessions(app)


@pytest.mark.parametrize("said", ["", "Accept", "Cookie"])
def test_the_reply_says_that_it_varies(said):
    handler = request_with()
    handler._headers_written, handler._headers = False, HTTPHeaders()
    handler.set_header = handler._headers.__setitem__
    if said:
        handler._headers["Vary"] = said
    FlaskSessions(make_app()).read(handler)
    assert handler._headers["Vary"] == {"": "Cookie", "Accept": "Accept, Cookie", "Cookie": "Cookie"}[said]
