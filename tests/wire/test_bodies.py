"""Request bodies arrive whole, however they are framed, sized and read (hazards 10)."""

import hashlib
import random

import pytest

from tests.server import new_id
from tests.wire.client import chunked

SERVE = ("--wsgi", "tests.apps.bodies:app", "--wsgi-threads", "1")
HOW = ["whole", "minus-one", "pieces", "lines", "limited-lines", "list-of-lines", "hinted-lines", "iterated"]
SIZES = [0, 1, 65_535, 65_536, 65_537, 5 * 1024 * 1024]
CHUNKED = ("Transfer-Encoding", "chunked")


def text_of(size):
    """Lines of every length, the same in each run."""
    dice = random.Random(size)
    lines = []
    while sum(map(len, lines)) < size:
        lines.append(dice.randbytes(3).hex().encode() * dice.choice([0, 1, 10, 100, 5_000]) + b"\n")
    return b"".join(lines)[:size]


def pieces_of(body, size=7_001):
    return [body[start : start + size] for start in range(0, len(body), size)]


def expected_pieces(body, how):
    lines = [len(line) for line in body.splitlines(keepends=True)]
    if how in ("whole", "minus-one"):
        return [len(body)]
    if how == "pieces":
        return [min(10_000, len(body) - start) for start in range(0, len(body), 10_000)]
    if how == "limited-lines":
        return [min(7, line - start) for line in lines for start in range(0, line, 7)]
    return lines


def assert_digest(reply, body):
    assert reply.status == 200, reply.text
    facts = reply.json()
    assert facts["length"] == len(body)
    assert facts["sha256"] == hashlib.sha256(body).hexdigest()
    assert facts["after"] == ["", "", ""]
    return facts


@pytest.mark.parametrize("size", [0, 11, 20_000, 200_000])
@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_every_way_of_reading_gives_the_whole_body(server, framing, how, size):
    body = text_of(size)
    with server.connect() as connection:
        if framing == "length":
            connection.send_request("POST", f"/digest?how={how}", body=body)
        else:
            connection.send_head("POST", f"/digest?how={how}", [CHUNKED])
            connection.send(chunked(*pieces_of(body)))
        facts = assert_digest(connection.reply(), body)
        assert facts["pieces"] == expected_pieces(body, how)[:2000]
        server.canary(connection)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("framing", ["length", "chunked", "one chunk"])
def test_a_body_of_any_size_arrives_unchanged(server, framing, size):
    body = random.Random(size).randbytes(size)
    with server.connect() as connection:
        if framing == "length":
            connection.send_request("POST", "/digest", body=body)
        else:
            parts = pieces_of(body) if framing == "chunked" else [body] if body else []
            connection.send_head("POST", "/digest", [CHUNKED])
            connection.send(chunked(*parts))
        assert_digest(connection.reply(), body)
        server.canary(connection)


def test_a_chunked_body_has_no_length_and_no_coding_in_environ(server):
    with server.connect() as connection:
        connection.send_head("POST", "/digest", [CHUNKED])
        connection.send(chunked(b"hello"))
        facts = assert_digest(connection.reply(), b"hello")
    assert (facts["declared"], facts["encoding"]) == (None, None)


def test_a_declared_length_is_told_to_the_app(server):
    assert server.ask("POST", "/digest", body=b"hello").json()["declared"] == "5"


def test_a_request_without_body_reads_as_empty(server):
    for method in ("GET", "POST", "DELETE"):
        assert_digest(server.ask(method, "/digest"), b"")


def test_a_chunked_body_of_single_bytes_arrives_whole(server):
    body = text_of(3_000)
    with server.connect() as connection:
        connection.send_head("POST", "/digest", [CHUNKED])
        connection.send(chunked(*(bytes([byte]) for byte in body)))
        assert_digest(connection.reply(), body)


def test_chunk_sizes_may_have_upper_case_digits_and_zeros_before_them(server):
    with server.connect() as connection:
        connection.send_head("POST", "/digest", [CHUNKED])
        connection.send(b"A\r\n0123456789\r\n", b"000a\r\n0123456789\r\n", b"0\r\n\r\n")
        assert_digest(connection.reply(), b"0123456789" * 2)


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_body_that_comes_slowly_arrives_whole(server, framing):
    """The app waits in read() meanwhile."""
    body, ident = text_of(90_000), new_id()
    with server.connect() as connection:
        header = CHUNKED if framing == "chunked" else ("Content-Length", str(len(body)))
        connection.send_head("POST", f"/digest?id={ident}", [header])
        for piece in pieces_of(body, 30_000):
            assert connection.is_silent(0.1)
            connection.send(b"%x\r\n%s\r\n" % (len(piece), piece) if framing == "chunked" else piece)
        connection.send(b"0\r\n\r\n" if framing == "chunked" else b"")
        assert_digest(connection.reply(), body)


def test_reading_nothing_takes_nothing(server):
    for body in (b"abcdef", b"abc" + b"d" * 70_000):
        reply = server.ask("POST", "/zero-reads", body=body)
        assert reply.body == b"||abc||" + body[3:]


def test_an_encoded_body_reaches_the_app_encoded(server):
    """Decoding is up to the app: a server that does it for the app breaks the body's length and signature."""
    body = b"\x1f\x8b\x08 not really gzip"
    reply = server.ask("POST", "/digest", [("Content-Encoding", "gzip")], body)
    assert_digest(reply, body)


def test_requests_with_bodies_follow_each_other_on_one_connection(server):
    with server.connect() as connection:
        for size in (1, 70_000, 0, 65_536, 300_000, 5):
            body = text_of(size)
            connection.send_request("POST", "/digest", body=body)
            assert_digest(connection.reply(), body)
            connection.send_head("POST", "/digest", [CHUNKED])
            connection.send(chunked(*pieces_of(body)))
            assert_digest(connection.reply(), body)


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_pipelined_bodies_stay_apart(server, framing):
    bodies = [text_of(size) for size in (10, 70_000, 0, 66_000, 3)]
    with server.connect() as connection:
        for body in bodies:
            if framing == "length":
                connection.send_request("POST", "/digest", body=body)
            else:
                connection.send_head("POST", "/digest", [CHUNKED])
                connection.send(chunked(*pieces_of(body)))
        for body in bodies:
            assert_digest(connection.reply(), body)
