"""The server's own answers."""

import pytest

from tests.waterspout.http.harness import GET, on_loops, serve
from waterspout.exceptions import NotHTTP, RequestRefused
from waterspout.http.refusal import serialize_refusal


@pytest.mark.parametrize("status", [400, 405, 408, 413, 414, 431, 500, 505])
def test_a_refusal_is_a_whole_reply(status):
    head, _, body = serialize_refusal(RequestRefused(status, "a\r\nsecret"), "GET").partition(b"\r\n\r\n")
    first, *lines = head.decode("ascii").split("\r\n")
    fields = dict(line.split(": ") for line in lines)
    assert first.startswith(f"HTTP/1.1 {status} ")
    assert body.decode() == f"{first.removeprefix('HTTP/1.1 ')}\n"
    assert fields["Content-Length"] == str(len(body))
    assert fields["Connection"] == "close"
    assert fields["Content-Type"] == "text/plain; charset=utf-8"
    usual = {"Content-Type", "Content-Length", "Date", "Server", "Connection"}
    assert set(fields) == usual | ({"Allow"} if status == 405 else set())  # RFC 9110 section 15.5.6


def test_what_the_client_sent_is_not_said_again():
    assert b"secret" not in serialize_refusal(RequestRefused(400, "secret"), "GET")


def test_it_carries_the_id_of_its_request():
    assert b"\r\nX-Request-Id: an-id\r\n" in serialize_refusal(RequestRefused(400, "x"), "GET", "an-id")


def test_head_is_answered_with_the_head():
    whole = serialize_refusal(RequestRefused(413, "x"), "GET")
    assert (
        serialize_refusal(RequestRefused(413, "x"), "HEAD") == whole.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    )


def test_what_is_no_http_gets_the_status_line_alone():
    assert serialize_refusal(NotHTTP(), "") == b"HTTP/1.1 400 Bad Request\r\n\r\n"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x16\x03\x01\x02\x00", 400),
        (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\nHost: x\n\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: a\rb\r\n\r\n", 400),
        (b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        (b"GET /" + b"a" * 9000, 414),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"a:b\r\n" * 200 + b"\r\n", 431),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 400),
    ],
)
@on_loops
async def test_nothing_behind_a_refusal_is_served(data, status):
    async with serve() as served:
        answer = await served.ask(data + GET)
        assert answer.startswith(b"HTTP/1.1 %d " % status)
        assert answer.count(b"HTTP/1.1") == 1
        assert served.delegates == []


@on_loops
async def test_a_refusal_in_the_body_comes_behind_the_replies_before_it():
    broken = b"POST /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"
    async with serve() as served:
        answer = await served.ask(GET + broken + GET)
        assert [part[:3] for part in answer.split(b"HTTP/1.1 ")] == [b"", b"200", b"400"]
        assert served.delegates[1].events == ["headers", "gone"]
