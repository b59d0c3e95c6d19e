"""A request whose framing is in doubt is refused before the app runs, and nothing behind it is served."""

import pytest

from tests.server import new_id

SERVE = ("--wsgi", "tests.apps.bodies:app", "--wsgi-threads", "1")
CHUNKED_BODY = "5\r\nhello\r\n0\r\n\r\n"


def length(value):
    return [f"Content-Length: {value}"]


TE = "Transfer-Encoding: "
DOUBTFUL = {
    "plus": (length("+5"), "hello"),
    "minus": (length("-5"), "hello"),
    "hex": (length("0x5"), "hello"),
    "underscore": (length("5_0"), "h" * 50),
    "list of equal": (length("5, 5"), "hello"),
    "list of different": (length("5,6"), "hello"),
    "empty": (length(""), "hello"),
    "word": (length("five"), "hello"),
    "fraction": (length("5.0"), "hello"),
    "inner blank": (length("5 5"), "hello"),
    "superscript two": (length("\xb2"), "he"),
    "superscript after digit": (length("1\xb2"), "h" * 12),
    "5000 digits": (length("9" * 5000), "hello"),
    "5000 zeros": (length("0" * 4999 + "5x"), "hello"),
    "two equal": (length(5) + length(5), "hello"),
    "two different": (length(5) + length(6), "hello!"),
    "length and chunked": ([*length(5), TE + "chunked"], CHUNKED_BODY),
    "chunked and length": ([TE + "chunked", *length(15)], CHUNKED_BODY),
    "gzip": ([TE + "gzip"], CHUNKED_BODY),
    "gzip and length": ([TE + "gzip", *length(5)], "hello"),
    "identity": ([TE + "identity", *length(5)], "hello"),
    "chunked, gzip": ([TE + "chunked, gzip"], CHUNKED_BODY),
    "gzip, chunked": ([TE + "gzip, chunked"], CHUNKED_BODY),
    "chunked, chunked": ([TE + "chunked, chunked"], CHUNKED_BODY),
    "chunked twice": ([TE + "chunked", TE + "chunked"], CHUNKED_BODY),
    "chunked and identity": ([TE + "chunked", TE + "identity"], CHUNKED_BODY),
    "xchunked": ([TE + "xchunked"], CHUNKED_BODY),
    "vertical tab": ([TE + "\x0bchunked"], CHUNKED_BODY),
    "no coding": ([TE], CHUNKED_BODY),
}


def raw_request(lines, body, ident, version="1.1"):
    start = f"POST /digest?id={ident} HTTP/{version}"
    return "\r\n".join([start, "Host: test.example", *lines, "", body]).encode("latin-1")


def assert_refused(server, request, ident):
    """One reply, 400 or 501, then the end; neither the request nor what was sent after it reached the app."""
    behind = new_id()
    with server.connect() as connection:
        connection.send(request + raw_request(length(2), "hi", behind))
        received = connection.everything()
    server.canary()
    assert server.notes("ran", ident) == server.notes("ran", behind) == []
    assert received.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 501 ", b"HTTP/1.0 400 ", b"HTTP/1.0 501 "))
    assert received.count(b"HTTP/1.") == 1


@pytest.mark.parametrize("name", DOUBTFUL)
def test_a_request_of_doubtful_framing_is_refused(server, name):
    ident = new_id()
    lines, body = DOUBTFUL[name]
    assert_refused(server, raw_request(lines, body, ident), ident)


@pytest.mark.parametrize("name", ["gzip", "chunked, gzip", "chunked twice", "plus", "two different"])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_doubtful_framing_is_refused_for_methods_without_a_body_too(server, name, method):
    ident = new_id()
    lines, body = DOUBTFUL[name]
    request = raw_request(lines, body, ident).replace(b"POST", method.encode(), 1)
    assert_refused(server, request, ident)


def test_chunked_is_refused_on_http_1_0(server):
    ident = new_id()
    assert_refused(server, raw_request([TE + "chunked"], CHUNKED_BODY, ident, "1.0"), ident)


def test_a_refusal_comes_even_if_the_body_never_does(server):
    with server.connect() as connection:
        connection.send(raw_request(length("5, 5"), "", new_id()))
        assert connection.reply().status in (400, 501)
        assert connection.ends_within()


@pytest.mark.parametrize(
    ("lines", "body"),
    [
        (length(5), "hello"),
        (["content-length:5"], "hello"),
        (["Content-Length:  5  "], "hello"),
        ([TE + "chunked"], CHUNKED_BODY),
        ([TE + "Chunked"], CHUNKED_BODY),
        (["transfer-encoding:CHUNKED"], CHUNKED_BODY),
    ],
)
def test_good_framing_in_odd_dress_is_served(server, lines, body):
    with server.connect() as connection:
        connection.send(raw_request(lines, body, new_id()))
        reply = connection.reply()
        assert (reply.status, reply.json()["length"]) == (200, 5)
        server.canary(connection)


def test_a_request_in_single_bytes_is_served(server):
    with server.connect() as connection:
        for byte in raw_request(length(5), "hello", new_id()):
            connection.send(bytes([byte]))
        assert connection.reply().json()["length"] == 5
