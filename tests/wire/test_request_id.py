"""X-Request-Id: taken if well formed, otherwise generated; passed to the app, the client and the log."""

import re

import pytest

from tests.server import ON_TORNADO, poll

SERVE = (
    *("--native", "tests.apps.natives:routes", "--wsgi", "tests.apps.environs:app"),
    *("--wsgi-threads", "1"),
)
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{8,128}")
GOOD = ["a", "0123456789abcdef", "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "a.b_c~d!#$%&'*+^`|", "x" * 128]
BAD = [
    "",
    "x" * 129,
    "two words",
    "semi;colon",
    'quo"te',
    "a,b",
    "sla/sh",
    "\x9b[31m",
    "caf\xe9",
    "(a)",
    "a=b",
    "a\tb",
]
PATHS = ["/environ", "/native/ping"]


def environ_id(reply):
    return reply.json()["HTTP_X_REQUEST_ID"][1]


@pytest.mark.parametrize("value", GOOD)
@pytest.mark.parametrize("path", PATHS)
def test_a_well_formed_id_is_taken(server, path, value):
    reply = server.get(path, [("X-Request-Id", value)])
    assert reply.all("X-Request-Id") == [value]
    if path == "/environ":
        assert environ_id(reply) == value


@pytest.mark.parametrize("value", BAD, ids=ascii)
@pytest.mark.parametrize("path", PATHS)
def test_a_malformed_id_is_replaced(server, path, value):
    reply = server.get(path, [("X-Request-Id", value)])
    assert reply.status == 200
    [made] = reply.all("X-Request-Id")
    assert made != value
    assert TOKEN.fullmatch(made)
    if path == "/environ":
        assert environ_id(reply) == made


@pytest.mark.parametrize("path", PATHS)
def test_two_ids_are_replaced_by_one(server, path):
    reply = server.get(path, [("X-Request-Id", "one"), ("X-Request-Id", "two")])
    [made] = reply.all("X-Request-Id")
    assert made not in ("one", "two")
    assert TOKEN.fullmatch(made)


@pytest.mark.parametrize("path", PATHS)
def test_each_request_without_an_id_gets_one_of_its_own(server, path):
    with server.connect() as connection:
        replies = [connection.ask("GET", path) for _ in range(20)]
    made = {reply.header("X-Request-Id") for reply in replies}
    assert len(made) == 20
    assert all(map(TOKEN.fullmatch, made))
    if path == "/environ":
        assert all(environ_id(reply) == reply.header("X-Request-Id") for reply in replies)


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "/native/raises", 500),
        ("POST", "/native/ping", 404),
        ("GET", "/missing", 404),
        ("HEAD", "/environ", 200),
    ],
)
def test_replies_of_every_kind_carry_the_id(server, method, target, status):
    with server.connect() as connection:
        reply = connection.ask(method, target, [("X-Request-Id", "an-id")])
    assert (reply.status, reply.all("X-Request-Id")) == (status, ["an-id"])


@pytest.mark.skipif(ON_TORNADO, reason="there the answer to a broken body is a bare status line")
@pytest.mark.parametrize("path", ["/environ", "/native/whole"])
def test_so_does_the_server_s_own_answer_to_a_broken_body(server, path):
    with server.connect() as connection:
        fields = [("X-Request-Id", "an-id"), ("Transfer-Encoding", "chunked")]
        connection.send_head("POST", path, fields)
        connection.send(b"1\r\nax\r\n")
        reply = connection.reply()
    assert (reply.status, reply.all("X-Request-Id")) == (400, ["an-id"])
    assert poll(lambda: " an-id bad-framing" in server.log)


def test_the_underscore_twin_of_the_id_is_dropped(server):
    reply = server.get("/environ", [("X_Request_Id", "evil")])
    assert environ_id(reply) == reply.header("X-Request-Id") != "evil"
