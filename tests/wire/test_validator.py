"""Well-behaved apps inside `wsgiref.validate.validator`: no breach of PEP 3333 on the server's side."""

import pytest

from tests.server import new_id
from tests.wire.client import chunked

SERVE = ("--wsgi", "tests.apps.validated:app", "--wsgi-threads", "1")
REQUESTS = [
    ("GET", "/plain", None, 200, b"plain"),
    ("GET", "/plain?a=%2F&b=", None, 200, b"plain"),
    ("HEAD", "/plain", None, 200, b""),
    ("POST", "/plain", b"unread", 200, b"plain"),
    ("POST", "/echoing", b"some body", 200, b"some body"),
    ("PUT", "/echoing/with%2Fa/path", b"b" * 200_000, 200, b"b" * 200_000),
    ("POST", "/echoing", b"", 200, b""),
    ("POST", "/lines", b"one\ntwo\nthree", 200, b"one\ntwo\nthree"),
    ("POST", "/lines", b"line\n" * 30_000, 200, b"line\n" * 30_000),
    ("GET", "/generated", None, 200, b"chunk0 chunk1 chunk2 "),
    ("GET", "/generated?count=0", None, 200, b""),
    ("HEAD", "/generated", None, 200, b""),
    ("GET", "/no-content", None, 204, b""),
    ("DELETE", "/no-content", None, 204, b""),
    ("GET", "/not-modified", None, 304, b""),
    ("GET", "/written", None, 200, b"written returned"),
    ("GET", "/complaining", None, 500, b"broken"),
    ("OPTIONS", "/plain", None, 200, b"plain"),
]
# What the validator says, or would say if an iterable were never closed.
COMPLAINTS = ("AssertionError", "garbage collected without being closed", "WSGIWarning")


def assert_no_complaint(server):
    server.canary()
    assert not [line for line in server.log.splitlines() if any(word in line for word in COMPLAINTS)]


@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_the_validator_finds_nothing(server, version):
    for method, target, body, status, expected in REQUESTS:
        reply = server.ask(method, target, [("Cookie", "a=b"), ("Accept", "*/*")], body, version=version)
        assert (reply.status, reply.body) == (status, expected), target
    assert_no_complaint(server)


def test_the_validator_finds_nothing_on_one_connection(server):
    with server.connect() as connection:
        for method, target, body, status, expected in REQUESTS:
            connection.send_request(method, target, body=body)
            reply = connection.reply(method)
            assert (reply.status, reply.body) == (status, expected), target
    assert_no_complaint(server)


def test_the_validator_finds_nothing_with_chunked_bodies(server):
    for target in ("/echoing", "/lines"):
        for parts in ([b"one\n", b"two"], [b"x" * 100_000, b"\n"], []):
            with server.connect() as connection:
                connection.send_head("POST", target, [("Transfer-Encoding", "chunked")])
                connection.send(chunked(*parts))
                assert connection.reply().body == b"".join(parts)
    assert_no_complaint(server)


def test_the_validator_finds_an_iterable_that_its_client_left_closed(server):
    for _ in range(3):
        with server.connect() as connection:
            connection.send_request("GET", f"/generated?count=1000000&id={new_id()}")
            connection.next_chunk(connection.head())
    assert_no_complaint(server)
