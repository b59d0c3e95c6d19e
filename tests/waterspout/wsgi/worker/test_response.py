"""A reply from start_response to its last byte, and what becomes of an app that fails on the way."""

import sys
import threading

import pytest

from tests.waterspout.wsgi.transcript import Transcript
from waterspout.exceptions import InvalidResponse
from waterspout.limits import DATA_FRAME, FRAME_LIMIT
from waterspout.wsgi.frames import CUT, WHOLE
from waterspout.wsgi.worker.response import Response

TEXT = [("Content-Type", "text/plain")]


@pytest.fixture
def sent():
    return Transcript()


@pytest.fixture
def response(sent):
    return Response("GET", "id-1", sent.send)


def make_exc_info(text="half way"):
    try:
        raise ValueError(text)
    except ValueError:
        return sys.exc_info()


def test_nothing_is_sent_before_the_first_byte(response, sent):
    response.start_response("200 OK", TEXT)
    response.write(b"")
    assert sent.sends == []
    assert not response.started


def test_a_reply_goes_out_chunk_by_chunk(response, sent):
    response.start_response("200 OK", TEXT)
    response.write(b"one ")
    assert (sent.status, sent.body, sent.end) == (200, b"one ", None)
    response.write(b"two")
    assert (sent.body, sent.end) == (b"one two", None)
    response.end()
    assert (sent.body, sent.end) == (b"one two", WHOLE)
    assert len(sent.sends) == 3


def test_the_head_goes_with_the_first_bytes(response, sent):
    response.start_response("200 OK", TEXT)
    response.write(b"first")
    assert len(sent.sends) == 1


def test_an_only_chunk_is_a_reply_in_one_packet(response, sent):
    response.start_response("200 OK", TEXT)
    response.write(b"all of it", only=True)
    assert len(sent.sends) == 1
    assert (sent.body, sent.end) == (b"all of it", WHOLE)
    assert sent.values("Content-Length") == ["9"]


def test_empty_chunks_are_skipped(response, sent):
    response.start_response("200 OK", TEXT)
    for chunk in (b"", b"a", b"", b"b", b""):
        response.write(chunk)
    response.end()
    assert (sent.body, sent.end) == (b"ab", WHOLE)
    assert len(sent.sends) == 3


@pytest.mark.parametrize("chunks", [[], [b""], [b"", b""]])
def test_a_reply_of_no_bytes_has_a_length_of_none(response, sent, chunks):
    response.start_response("200 OK", TEXT)
    for chunk in chunks:
        response.write(chunk, only=len(chunks) == 1)
    response.end()
    assert (sent.body, sent.end) == (b"", WHOLE)
    assert sent.values("Content-Length") == ["0"]


def test_a_large_chunk_goes_in_pieces_so_that_a_cancel_is_seen_between_them(response, sent):
    chunk = bytes(range(256)) * (DATA_FRAME // 256) * 2 + b"rest"
    response.start_response("200 OK", TEXT)
    response.write(chunk)
    assert sent.body == chunk
    assert len(sent.sends) == 3
    assert max(map(len, sent.sends)) < DATA_FRAME + 1000


def test_the_end_goes_with_the_last_piece_of_a_large_only_chunk(response, sent):
    response.start_response("200 OK", TEXT)
    response.write(bytes(DATA_FRAME + 1), only=True)
    assert len(sent.sends) == 2
    assert (len(sent.body), sent.end) == (DATA_FRAME + 1, WHOLE)


@pytest.mark.parametrize("chunk", ["text", None, 7, bytearray(b"x"), memoryview(b"x"), [b"x"]])
def test_a_body_that_is_not_bytes_is_refused(response, sent, chunk):
    response.start_response("200 OK", TEXT)
    with pytest.raises(InvalidResponse, match=type(chunk).__name__):
        response.write(chunk)
    assert sent.sends == []


def test_an_app_that_returns_bytes_themselves_is_told_what_to_return(response):
    response.start_response("200 OK", TEXT)
    with pytest.raises(InvalidResponse, match=r"not int; return \[body\], a list of bytes$"):
        response.write(next(iter(b"text")))


@pytest.mark.parametrize("chunk", [b"x", b""])
def test_a_body_before_start_response_is_refused(response, sent, chunk):
    with pytest.raises(InvalidResponse, match="before start_response"):
        response.write(chunk)
    assert sent.sends == []


def test_an_end_without_start_response_is_refused(response, sent):
    with pytest.raises(InvalidResponse, match="never called"):
        response.end()
    assert sent.sends == []


def test_a_second_end_says_nothing(response, sent):
    response.start_response("200 OK", TEXT)
    response.end()
    response.end()
    response.write(b"late")
    assert (sent.body, sent.end) == (b"", WHOLE)


# --- write() -------------------------------------------------------------------------------------------


def test_start_response_returns_write(response, sent):
    write = response.start_response("200 OK", TEXT)
    write(b"one ")
    assert (sent.status, sent.body) == (200, b"one ")
    response.write(b"two")
    response.end()
    assert (sent.body, sent.end) == (b"one two", WHOLE)


@pytest.mark.parametrize("meanwhile", ["write", "end", "fail"])
def test_what_a_thread_writes_and_what_the_app_returns_take_turns(sent, meanwhile):
    """What comes while something else is being sent follows it: the head is first, and the end last."""
    threads = []

    def send(frames):
        if not threads:
            act = getattr(response, meanwhile)
            threads.append(threading.Thread(target=act, args=(b"two",) if meanwhile == "write" else ()))
            threads[0].start()
            threads[0].join(0.2)
        sent.send(frames)

    response = Response("GET", "id-1", send)
    write = response.start_response("200 OK", TEXT)
    write(b"one " * DATA_FRAME)  # goes in pieces
    threads[0].join()
    response.end()
    assert sent.body == b"one " * DATA_FRAME + (b"two" if meanwhile == "write" else b"")
    assert sent.end == (CUT if meanwhile == "fail" else WHOLE)


def test_an_only_chunk_behind_what_was_written_is_not_the_whole_body(response, sent):
    """`write(b"one "); return [b"two"]`: the length of the last chunk is not that of the body."""
    write = response.start_response("200 OK", TEXT)
    write(b"longer than the rest ")
    response.write(b"two", only=True)
    response.end()
    assert (sent.body, sent.end) == (b"longer than the rest two", WHOLE)


# --- start_response, again -----------------------------------------------------------------------------


@pytest.mark.parametrize("begun", [False, True])
def test_a_second_start_without_exc_info_is_an_error(response, sent, begun):
    response.start_response("200 OK", TEXT)
    if begun:
        response.write(b"x")
    with pytest.raises(AssertionError, match="second time"):
        response.start_response("201 Created", TEXT)
    response.write(b"y")
    assert sent.status == 200


def test_exc_info_may_come_with_the_first_start(response, sent):
    response.start_response("503 Busy", TEXT, make_exc_info())
    response.end()
    assert sent.status == 503


def test_a_second_start_with_exc_info_replaces_the_first_before_any_byte(response, sent):
    response.start_response("200 OK", [("X-First", "yes"), ("Content-Length", "300")])
    response.write(b"")
    response.start_response("500 Oops", [("X-Second", "yes")], make_exc_info())
    response.write(b"sorry", only=True)
    assert (sent.status, sent.head.reason, sent.body, sent.end) == (500, "Oops", b"sorry", WHOLE)
    assert (sent.values("X-First"), sent.values("X-Second")) == ([], ["yes"])
    assert sent.values("Content-Length") == ["5"]


@pytest.mark.parametrize("statuses", [["204 No Content"], ["204 No Content", "500 Oops"]])
def test_a_second_start_may_take_the_body_away_and_a_third_bring_it_back(response, sent, statuses):
    response.start_response("200 OK", TEXT)
    for status in statuses:
        response.start_response(status, [], make_exc_info())
    response.write(b"x", only=True)
    assert (sent.body, sent.end) == (b"x" if len(statuses) > 1 else b"", WHOLE)


def test_a_second_start_after_the_first_byte_raises_what_it_was_given(response, sent):
    response.start_response("200 OK", TEXT)
    response.write(b"x")
    exc_info = make_exc_info("too late")
    with pytest.raises(ValueError, match="too late") as caught:
        response.start_response("500 Oops", TEXT, exc_info)
    assert caught.value is exc_info[1]
    assert (sent.status, sent.end) == (200, None)


def test_a_second_start_after_the_first_byte_is_refused_when_no_exception_is_handled(response, sent):
    """sys.exc_info() outside an `except` is (None, None, None): there is nothing to raise again."""
    response.start_response("200 OK", TEXT)
    response.write(b"abc")
    with pytest.raises(AssertionError):
        response.start_response("500 Oops", [("Content-Length", "2")], (None, None, None))


@pytest.mark.parametrize(
    ("status", "headers"),
    [("nonsense", []), ("500 Oops", [("Bad Name", "")]), ("500 Oops", [("Content-Length", "many")])],
)
def test_a_refused_second_start_leaves_the_first_as_it_was(response, sent, status, headers):
    response.start_response("200 OK", [("X-First", "yes"), ("Content-Length", "3")])
    with pytest.raises(InvalidResponse):
        response.start_response(status, headers, make_exc_info())
    response.write(b"abc")
    assert (sent.status, sent.body, sent.end) == (200, b"abc", WHOLE)
    assert (sent.values("X-First"), sent.values("Content-Length")) == (["yes"], ["3"])


def test_a_refused_first_start_leaves_the_reply_unstarted(response, sent):
    with pytest.raises(InvalidResponse):
        response.start_response("200 OK", [("Content-Length", "many")])
    with pytest.raises(InvalidResponse, match="before start_response"):
        response.write(b"x")
    response.start_response("200 OK", TEXT)
    response.write(b"x", only=True)
    assert (sent.status, sent.end) == (200, WHOLE)


# --- fail() --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("started", [False, True])
def test_an_app_that_fails_before_the_first_byte_is_answered_for(response, sent, started):
    if started:
        response.start_response("200 OK", [("Set-Cookie", "secret=1"), ("Content-Length", "300")])
    response.fail()
    assert (sent.status, sent.head.reason, sent.end) == (500, "Internal Server Error", WHOLE)
    assert sent.body == b"500 Internal Server Error\n"
    assert sent.values("Content-Length") == [str(len(sent.body))]
    assert sent.values("X-Request-Id") == ["id-1"]
    assert sent.values("Set-Cookie") == []


def test_an_app_that_fails_before_the_first_byte_of_a_bodiless_reply_is_answered_for(response, sent):
    response.start_response("204 No Content", [])
    response.fail()
    assert (sent.status, sent.body, sent.end) == (500, b"500 Internal Server Error\n", WHOLE)


def test_a_failed_head_has_the_length_and_no_body(sent):
    response = Response("HEAD", "id-1", sent.send)
    response.fail()
    assert (sent.status, sent.body, sent.end) == (500, b"", WHOLE)
    assert sent.values("Content-Length") == ["26"]


def test_an_app_that_fails_after_the_first_byte_cuts_the_connection(response, sent):
    response.start_response("200 OK", TEXT)
    response.write(b"some")
    response.fail()
    assert (sent.status, sent.body, sent.end) == (200, b"some", CUT)
    assert response.ended


def test_an_app_that_fails_after_the_end_changes_nothing(response, sent):
    response.start_response("200 OK", [("Content-Length", "4")])
    response.write(b"some")
    assert sent.end == WHOLE
    response.fail()
    assert len(sent.sends) == 1


def test_absurdly_many_headers_are_refused_and_can_be_answered_for(response, sent):
    response.start_response("200 OK", [("X-Long", "x" * FRAME_LIMIT)])
    with pytest.raises(InvalidResponse, match="headers"):
        response.write(b"body")
    assert not response.started
    response.fail()
    assert (sent.status, sent.end) == (500, WHOLE)


def test_the_exception_of_the_sender_goes_through(sent):
    def refuse(frames):
        raise ConnectionError("gone")

    response = Response("GET", "id-1", refuse)
    response.start_response("200 OK", TEXT)
    with pytest.raises(ConnectionError):
        response.write(b"x")
