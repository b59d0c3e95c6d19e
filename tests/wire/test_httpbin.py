"""httpbin, a Flask app with a bit of everything, answers behind this server as it does behind gunicorn."""

import gzip
import json
import re
import subprocess
import sys
import zlib

import pytest

from tests.server import START_DEADLINE, environment, poll
from tests.wire.client import Connection, build_head, build_request, chunked

SERVE = ("--wsgi", "httpbin:app")
FORM = ("Content-Type", "application/x-www-form-urlencoded")
JSON = ("Content-Type", "application/json")
MULTIPART = ("Content-Type", "multipart/form-data; boundary=XX")
PARTS = (
    b'--XX\r\nContent-Disposition: form-data; name="a"\r\n\r\none\r\n'
    b'--XX\r\nContent-Disposition: form-data; name="f"; filename="n.txt"\r\n\r\ntext\r\n--XX--\r\n'
)
# (method, target, headers, body); a list as body goes out chunked.
REQUESTS = [
    ("GET", "/get?a=1&b=%C3%A9&a=2", [("X-Some", "header")], None),
    ("GET", "/anything/with%2Fencoded/path?q=%2F", [("Cookie", "a=b")], None),
    ("POST", "/post", [JSON], json.dumps({"a": [1, "é"]}).encode()),
    ("POST", "/post", [FORM], b"a=1&b=two+words&a=3"),
    ("POST", "/post", [MULTIPART], PARTS),
    ("POST", "/post", [("Content-Type", "application/octet-stream")], bytes(range(256)) * 300),
    ("POST", "/post", [FORM], [b"a=1&", b"b=2"]),
    ("POST", "/post", [JSON], [b'{"a":', b" 1}"]),
    ("POST", "/post", [MULTIPART], [PARTS[:50], PARTS[50:]]),
    ("POST", "/post", [], b""),
    ("PUT", "/put", [JSON], b'{"put": true}'),
    ("DELETE", "/delete", [], None),
    ("DELETE", "/delete", [JSON], b"[1]"),
    ("PATCH", "/patch", [], b"patched"),
    ("POST", "/get", [], b"x"),
    ("GET", "/no/such/page", [], None),
    *[
        ("GET", f"/status/{code}", [], None)
        for code in (200, 201, 204, 304, 400, 401, 402, 404, 406, 418, 500)
    ],
    ("POST", "/status/503", [], b"x"),
    ("GET", "/redirect/2", [], None),
    ("GET", "/relative-redirect/1", [], None),
    ("GET", "/absolute-redirect/1", [], None),
    ("GET", "/redirect-to?url=http%3A%2F%2Felsewhere.example%2F%3Fa%3Db&status_code=307", [], None),
    ("GET", "/cookies/set?a=1&b=2", [], None),
    ("GET", "/cookies/delete?a=1", [("Cookie", "a=1; b=2")], None),
    ("GET", "/cookies", [("Cookie", "a=1; b=2")], None),
    ("GET", "/stream/20", [], None),
    ("GET", "/stream-bytes/5000?seed=3&chunk_size=700", [], None),
    ("GET", "/drip?duration=0.5&numbytes=5&delay=0", [], None),
    ("GET", "/delay/0.2", [], None),
    ("GET", "/range/1024", [("Range", "bytes=10-99")], None),
    ("GET", "/range/1024", [], None),
    ("GET", "/range/1024", [("Range", "bytes=5000-")], None),
    ("GET", "/gzip", [], None),
    ("GET", "/deflate", [], None),
    ("GET", "/brotli", [], None),
    ("GET", "/image/png", [], None),
    ("GET", "/image", [("Accept", "image/webp")], None),
    ("GET", "/etag/abc", [], None),
    ("GET", "/etag/abc", [("If-None-Match", '"abc"')], None),
    ("GET", "/etag/abc", [("If-Match", '"other"')], None),
    ("GET", "/cache", [("If-Modified-Since", "Mon, 01 Jan 2024 00:00:00 GMT")], None),
    ("GET", "/cache/60", [], None),
    ("GET", "/basic-auth/u/p", [], None),
    ("GET", "/basic-auth/u/p", [("Authorization", "Basic dTpw")], None),
    ("GET", "/bearer", [("Authorization", "Bearer token")], None),
    ("GET", "/response-headers?X-A=1&X-A=2&X-B=%C3%A9", [], None),
    ("GET", "/encoding/utf8", [], None),
    ("GET", "/bytes/1024?seed=1", [], None),
    ("GET", "/base64/d2F0ZXI%3D", [], None),
    ("GET", "/headers", [("X-Mixed-CASE", "1"), ("Accept-Language", "de"), ("User-Agent", "a test")], None),
    ("GET", "/user-agent", [("User-Agent", "a test")], None),
    ("GET", "/links/5/1", [], None),
    ("GET", "/html", [], None),
    ("GET", "/xml", [], None),
    ("GET", "/deny", [], None),
    ("GET", "/spec.json", [], None),
    ("HEAD", "/get", [], None),
    ("HEAD", "/stream/3", [], None),
    ("HEAD", "/redirect/1", [], None),
    ("OPTIONS", "/get", [], None),
    ("OPTIONS", "/anything", [("Origin", "http://o.example")], None),
    ("TRACE", "/anything", [], None),
]
# What a server adds itself, or may say in its own way.
SERVERS_OWN = {"date", "server", "connection", "keep-alive", "transfer-encoding", "x-request-id"}
FIXED = [("X-Request-Id", "compared"), ("Host", "test.example"), ("Accept", "*/*")]


@pytest.fixture(scope="module")
def gunicorn_address(tmp_path_factory):
    """gunicorn with threads, on a port of its own choice."""
    folder = tmp_path_factory.mktemp("gunicorn")
    log = folder / "log"
    command = [sys.executable, "-m", "gunicorn", "-k", "gthread", "--threads", "8", "-b", "127.0.0.1:0"]
    with log.open("wb") as stderr:
        process = subprocess.Popen([*command, "httpbin:app"], stderr=stderr, env=environment(folder, None))
    try:
        found = poll(lambda: re.search(r"http://127.0.0.1:(\d+)", log.read_text()), START_DEADLINE)
        assert found, log.read_text()
        yield "127.0.0.1", int(found[1])
    finally:
        process.terminate()
        process.wait(15)


def ask(address, method, target, headers, body):
    with Connection(address, timeout=20) as connection:
        if isinstance(body, list):
            head = [*FIXED, *headers, ("Transfer-Encoding", "chunked")]
            connection.send(build_head(method, target, head), chunked(*body))
        else:
            connection.send(build_request(method, target, [*FIXED, *headers], body))
        return connection.reply(method)


def comparable_headers(reply, ignored):
    """Names without case; the methods in `Allow` come from a set, in any order."""
    pairs = [(name.lower(), value) for name, value in reply.headers]
    ordered = [(name, sorted(value.split(", ")) if name == "allow" else value) for name, value in pairs]
    return sorted(pair for pair in ordered if pair[0] not in ignored)


def comparable_body(reply):
    """Decoded; JSON as values, without the header that only some servers show the app for chunked uploads."""
    body = reply.body
    if reply.header("Content-Encoding") == "gzip":
        body = gzip.decompress(body)
    elif reply.header("Content-Encoding") == "deflate":
        body = zlib.decompress(body)
    elif reply.header("Content-Encoding"):
        return body
    if "json" not in (reply.header("Content-Type") or "") or not body:
        return body
    values = [json.loads(line) for line in body.splitlines()] if b"\n{" in body else json.loads(body)
    if isinstance(values, dict) and isinstance(values.get("headers"), dict):
        values["headers"].pop("Transfer-Encoding", None)
    return values


@pytest.mark.parametrize(
    ("method", "target", "headers", "body"),
    REQUESTS,
    ids=[f"{number} {method} {target[:25]}" for number, (method, target, _, _) in enumerate(REQUESTS)],
)
def test_httpbin_answers_as_behind_gunicorn(httpbin_server, gunicorn_address, method, target, headers, body):
    ours = ask(httpbin_server.address, method, target, headers, body)
    theirs = ask(gunicorn_address, method, target, headers, body)
    assert (ours.status, ours.reason) == (theirs.status, theirs.reason)
    # The reply to a chunked upload shows its headers, so its length differs with them.
    ignored = SERVERS_OWN | ({"content-length"} if isinstance(body, list) else set())
    assert comparable_headers(ours, ignored) == comparable_headers(theirs, ignored)
    assert comparable_body(ours) == comparable_body(theirs)


@pytest.fixture
def httpbin_server(shared_server):
    """The module's server; httpbin has no canary of ours."""
    return shared_server.running()


def test_httpbin_answers_on_one_connection(httpbin_server, gunicorn_address):
    with Connection(httpbin_server.address, timeout=20) as connection:
        for method, target, headers, body in REQUESTS[:16]:
            if isinstance(body, list):
                continue
            connection.send(build_request(method, target, [*FIXED, *headers], body))
            theirs = ask(gunicorn_address, method, target, headers, body)
            ours = connection.reply(method)
            assert (ours.status, comparable_body(ours)) == (theirs.status, comparable_body(theirs))
