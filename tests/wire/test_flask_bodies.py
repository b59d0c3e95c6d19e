"""Forms, JSON and uploads as a Flask app reads them, in every framing, including what Tornado can't parse."""

import hashlib
import json

import pytest

from tests.server import new_id
from tests.wire.client import chunked

SERVE = ("--wsgi", "tests.apps.flask_views:app", "--wsgi-threads", "1")
CHUNKED = ("Transfer-Encoding", "chunked")
FORM = ("Content-Type", "application/x-www-form-urlencoded")
MULTIPART = ("Content-Type", "multipart/form-data; boundary=XX")
PARTS = (
    b'--XX\r\nContent-Disposition: form-data; name="a"\r\n\r\none\r\n'
    b'--XX\r\nContent-Disposition: form-data; name="f"; filename="n.bin"\r\n'
    b"Content-Type: application/octet-stream\r\n\r\n\x00\xff\r\n\r\n--XX--\r\n"
)


@pytest.fixture(params=["length", "chunked"])
def post(request, server):
    """Post a body in either framing."""

    def send(target, body, *headers):
        with server.connect() as connection:
            if request.param == "length":
                connection.send_request("POST", target, headers, body)
            else:
                connection.send_head("POST", target, [*headers, CHUNKED])
                connection.send(chunked(*(body[start : start + 10] for start in range(0, len(body), 10))))
            return connection.reply()

    return send


def test_request_data_is_the_body(post):
    reply = post("/flask/data", b"hello world", ("Content-Type", "text/plain"))
    assert reply.json() == {
        "length": 11,
        "sha256": hashlib.sha256(b"hello world").hexdigest(),
        "type": "text/plain",
    }


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_client_that_leaves_in_the_middle_is_no_error_of_the_app(server, framing):
    """Werkzeug's ClientDisconnected becomes a 400 that nobody reads; others would log a traceback."""
    ident = new_id()
    with server.connect() as connection:
        header = CHUNKED if framing == "chunked" else ("Content-Length", "200000")
        connection.send_head("POST", f"/flask/awaited?id={ident}", [header])
        connection.send(chunked(b"x" * 100_000)[:-5] if framing == "chunked" else b"x" * 100_000)
        server.wait_for_note("ran", ident)
    [line] = server.log_lines(ident)
    server.canary()
    assert line.endswith("client-left")
    assert "Traceback" not in server.log


def test_request_stream_is_the_body(post):
    assert post("/flask/stream", b"hello world").json()["length"] == 11


def test_request_form_is_parsed(post):
    reply = post("/flask/form", b"a=1&b=%C3%A9&a=2&empty=", FORM)
    assert reply.json()["form"] == {"a": ["1", "2"], "b": ["é"], "empty": [""]}


def test_request_files_are_parsed(post):
    facts = post("/flask/form", PARTS, MULTIPART).json()
    assert facts == {"form": {"a": ["one"]}, "files": {"f": ["n.bin", "\x00\xff\r\n"]}}


def test_request_json_is_parsed(post):
    value = {"a": [1, None, "é"], "b": {"c": 2.5}}
    assert (
        post("/flask/json", json.dumps(value).encode(), ("Content-Type", "application/json")).json() == value
    )


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", PARTS),
        ("multipart/form-data; boundary=", PARTS),
        ("multipart/form-data; boundary=YY", PARTS),
        ("multipart/form-data; boundary=XX", PARTS[:60]),
        ("multipart/form-data; boundary=XX", b"--XX\r\nContent-Disposition: nonsense\r\n\r\nx\r\n--XX--\r\n"),
        ("multipart/form-data; boundary=XX", b"--XX\r\n\xff\xfe: \xff\r\n\r\nx\r\n--XX--\r\n"),
        ("application/x-www-form-urlencoded", b"\xff\xfe=%zz&&&=%80"),
        ("application/x-www-form-urlencoded", b"&" * 300),
        ("application/json", b"{not json"),
    ],
)
def test_a_body_that_tornado_can_not_parse_reaches_flask_untouched(post, kind, body):
    reply = post("/flask/data", body, ("Content-Type", kind))
    assert reply.status == 200
    assert reply.json() == {"length": len(body), "sha256": hashlib.sha256(body).hexdigest(), "type": kind}


def test_flask_itself_judges_a_bad_form(post):
    reply = post("/flask/form", b"--XX\r\nContent-Disposition: nonsense\r\n", MULTIPART)
    assert reply.status in (200, 400)
    assert post("/flask/json", b"{not json", ("Content-Type", "application/json")).status == 400


def test_no_xsrf_check_of_tornado_s_stands_before_flask(post):
    assert post("/flask/form", b"a=1", FORM, ("Origin", "http://elsewhere.example")).status == 200


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_bodies_of_other_methods_reach_flask(server, method):
    reply = server.ask(method, "/flask/any", body=b"some body")
    assert reply.json() == {"method": method, "body": "some body"}


def test_flask_answers_a_wrong_method_itself(server):
    reply = server.ask("DELETE", "/flask/form")
    assert reply.status == 405
    assert sorted(part.strip() for part in reply.header("Allow").split(",")) == ["OPTIONS", "POST"]


def test_sessions_survive_from_request_to_request(server):
    reply = server.get("/flask/counted")
    assert reply.json() == {"count": 1}
    cookie = reply.header("Set-Cookie").partition(";")[0]
    assert server.get("/flask/counted", [("Cookie", cookie)]).json() == {"count": 2}


def test_an_error_of_flask_is_flask_s_own_reply(server):
    assert server.get("/flask/aborts").status == 451
    reply = server.get("/flask/raises")
    assert reply.status == 500
    assert b"a secret of the view" not in reply.body


def test_head_is_answered_without_a_body(server):
    with server.connect() as connection:
        reply = connection.ask("HEAD", "/flask/hello")
        assert (reply.status, reply.header("Content-Length")) == (200, "5")
        server.canary(connection)
