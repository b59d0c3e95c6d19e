"""How long a reply is: by what it declares, by what comes, and where no body may come at all."""

import logging

import pytest

from tests.waterspout.wsgi.transcript import Transcript
from waterspout.limits import DATA_FRAME
from waterspout.message.framing import has_body
from waterspout.wsgi.frames import CUT, WHOLE
from waterspout.wsgi.worker.response import Response


def run_app(chunks, *, length=None, method="GET", status="200 OK", only=False, more=()):
    """What goes out for these chunks."""
    sent = Transcript()
    response = Response(method, "id-1", sent.send)
    response.start_response(status, [*([] if length is None else [("Content-Length", length)]), *more])
    for chunk in chunks:
        response.write(chunk, only=only)
    response.end()
    return sent


@pytest.mark.parametrize(
    ("method", "status", "expected"),
    [
        ("GET", 200, True),
        ("POST", 500, True),
        ("OPTIONS", 205, True),
        ("HEAD", 200, False),
        ("HEAD", 500, False),
        ("GET", 204, False),
        ("GET", 304, False),
        ("GET", 100, False),
        ("GET", 199, False),
        ("head", 200, True),
    ],
)
def test_only_some_replies_have_a_body(method, status, expected):
    assert has_body(method, status) is expected


# --- as long as they say -------------------------------------------------------------------------------


@pytest.mark.parametrize("chunks", [[b"abcde"], [b"a", b"", b"bcd", b"e"], [b"abcde", b""]])
def test_a_reply_as_long_as_it_says_is_whole(chunks):
    sent = run_app(chunks, length="5")
    assert (sent.body, sent.end, sent.values("Content-Length")) == (b"abcde", WHOLE, ["5"])


def test_a_reply_is_whole_with_its_last_byte_and_not_when_the_iterable_ends():
    sent = Transcript()
    response = Response("GET", "id-1", sent.send)
    response.start_response("200 OK", [("Content-Length", "2")])
    response.write(b"a")
    assert sent.end is None
    response.write(b"b")
    assert sent.end == WHOLE
    assert response.ended


@pytest.mark.parametrize("only", [True, False])
def test_a_length_that_was_given_is_not_given_again(only):
    assert run_app([b"abc"], length="3", only=only).values("Content-Length") == ["3"]


def test_a_stream_has_no_length():
    sent = run_app([b"abc", b"de"])
    assert (sent.body, sent.end, sent.values("Content-Length")) == (b"abcde", WHOLE, [])


@pytest.mark.parametrize(
    "chunks", [[b"abcdefg"], [b"abc", b"defg"], [b"abcde", b"fg"], [b"abcd", b"ef", b"g"]]
)
def test_what_is_too_much_is_cut_off(chunks):
    sent = run_app(chunks, length="5")
    assert (sent.body, sent.end) == (b"abcde", WHOLE)


def test_what_is_too_much_is_logged_without_the_content(caplog):
    caplog.set_level(logging.WARNING, "waterspout.wsgi")
    run_app([b"secret"], length="3")
    assert "longer than its Content-Length of 3" in caplog.text
    assert "id-1" in caplog.text
    assert "secret" not in caplog.text


def test_a_body_after_a_length_of_zero_is_dropped():
    sent = run_app([b"unwanted"], length="0")
    assert (sent.body, sent.end, sent.values("Content-Length")) == (b"", WHOLE, ["0"])


def test_a_large_chunk_is_cut_to_its_length():
    sent = run_app([bytes(3 * DATA_FRAME)], length=str(DATA_FRAME + 7))
    assert (len(sent.body), sent.end) == (DATA_FRAME + 7, WHOLE)


@pytest.mark.parametrize("chunks", [[b"ab"], [b"a", b"b"]])
def test_a_reply_that_is_too_short_is_cut(chunks, caplog):
    sent = run_app(chunks, length="5")
    assert (sent.body, sent.end) == (b"ab", CUT)
    assert "2 of 5 bytes" in caplog.text


@pytest.mark.parametrize("chunks", [[], [b""]])
def test_a_reply_that_says_some_and_sends_nothing_is_cut(chunks):
    assert run_app(chunks, length="5").end == CUT


@pytest.mark.parametrize("field", ["X-Sendfile", "x-accel-redirect", "X-LIGHTTPD-send-file"])
@pytest.mark.parametrize("chunks", [[], [b""]])
def test_a_body_that_is_left_to_a_proxy_is_none(field, chunks, caplog):
    """The length that the app gives is that of the file."""
    sent = run_app(chunks, length="5", more=[(field, "/file")])
    assert (sent.body, sent.end, sent.values("Content-Length")) == (b"", WHOLE, ["0"])
    assert sent.values(field) == ["/file"]
    assert len(sent.sends) == 1
    assert not caplog.records


def test_one_that_has_begun_is_as_long_as_it_says():
    more = [("X-Sendfile", "/file")]
    assert run_app([b"ab"], length="5", more=more).end == CUT
    sent = run_app([b"abcde"], length="5", more=more)
    assert (sent.body, sent.end, sent.values("Content-Length")) == (b"abcde", WHOLE, ["5"])
    sent = run_app([], length="5", more=more, method="HEAD")
    assert (sent.end, sent.values("Content-Length")) == (WHOLE, ["5"])


# --- no body at all ------------------------------------------------------------------------------------

BODILESS = [
    ("HEAD", "200 OK"),
    ("HEAD", "404 Not Found"),
    ("GET", "204 No Content"),
    ("GET", "304 Not Modified"),
]
BODILESS += [("GET", "100 Continue"), ("POST", "103 Early Hints")]


@pytest.mark.parametrize(("method", "status"), BODILESS)
@pytest.mark.parametrize("chunks", [[], [b""], [b"unwanted"], [b"un", b"wanted"]])
@pytest.mark.parametrize("length", [None, "8", "0"])
def test_a_reply_that_may_have_no_body_has_none(method, status, chunks, length):
    sent = run_app(chunks, length=length, method=method, status=status, only=len(chunks) == 1)
    assert (sent.body, sent.end) == (b"", WHOLE)
    assert len(sent.sends) == 1


@pytest.mark.parametrize(("method", "status"), BODILESS)
def test_only_of_the_reply_to_head_nothing_is_wanted_but_its_head(method, status):
    response = Response(method, "id-1", Transcript().send)
    assert not response.unwanted
    response.start_response(status, [])
    assert response.unwanted == (method == "HEAD")


@pytest.mark.parametrize("status", ["204 No Content", "100 Continue", "199 Odd"])
def test_a_length_is_dropped_where_none_may_be(status):
    assert run_app([], length="8", status=status).values("Content-Length") == []


@pytest.mark.parametrize(("method", "status"), [("HEAD", "200 OK"), ("GET", "304 Not Modified")])
def test_the_length_of_what_a_get_would_have_brought_is_kept(method, status):
    assert run_app([], length="8", method=method, status=status).values("Content-Length") == ["8"]


@pytest.mark.parametrize(("method", "status"), [("HEAD", "200 OK"), ("GET", "304 Not Modified")])
@pytest.mark.parametrize("chunks", [[], [b"a page that says why there is none"]])
def test_what_brings_no_body_gets_no_length_made_up(chunks, method, status):
    sent = run_app(chunks, method=method, status=status, only=bool(chunks))
    assert (sent.body, sent.values("Content-Length")) == (b"", [])
