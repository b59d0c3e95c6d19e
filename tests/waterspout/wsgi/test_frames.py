"""What is packed comes out again, however it arrives; what is not a frame is refused at once."""

import struct

import pytest

from tests.waterspout.wsgi.heads import make_head
from waterspout.exceptions import FrameError
from waterspout.http.head import HeadLimits, parse_head
from waterspout.limits import FRAME_LIMIT, HEAD_SIZE_MOST
from waterspout.wsgi.frames import (
    ANSWER,
    BODY,
    BODY_END,
    CANCEL,
    CUT,
    DATA,
    END,
    FAILED,
    IDLE,
    LANE,
    PUBLISH,
    READ,
    READY,
    REPLY,
    REQUEST,
    SPEC,
    STOP,
    TAKEN,
    WHOLE,
    FrameParser,
    build_reply,
    pack,
    pack_about,
    pack_answer,
    pack_header,
    pack_read,
    pack_taken,
    parse_read,
    parse_reply,
    parse_request,
    parse_taken,
    serialize_reply,
    serialize_request,
)

CONTROL = (REQUEST, BODY_END, CANCEL, READ, REPLY, END, IDLE, SPEC, LANE, STOP, READY, FAILED, PUBLISH)
STREAMED = (BODY, DATA)
EVERY_KIND = CONTROL + STREAMED
CONVERSATION = [
    (REQUEST, b"head"),
    (BODY, b"0123456789" * 30),
    (BODY_END, b""),
    (READ, b"\0\0\1\0"),
    (DATA, b"a reply"),
    (END, WHOLE),
    (IDLE, b""),
    (PUBLISH, b"topic\n{}"),
]


def join_pieces(frames):
    """Join neighbouring pieces of one body."""
    joined = []
    for kind, payload in frames:
        if joined and kind in STREAMED and joined[-1][0] == kind:
            payload = joined.pop()[1] + payload
        joined.append((kind, payload))
    return joined


def feed_in_pieces(wire, size):
    parser = FrameParser()
    frames = []
    for start in range(0, len(wire), size):
        frames += parser.feed(wire[start : start + size])
    return frames


def test_every_kind_is_another_number():
    assert len(set(EVERY_KIND)) == len(EVERY_KIND)


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_a_frame_comes_out_as_it_was_packed(kind):
    assert FrameParser().feed(pack(kind, b"payload")) == [(kind, b"payload")]


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_a_header_alone_is_the_beginning_of_a_frame(kind):
    assert pack_header(kind, 7) + b"payload" == pack(kind, b"payload")


@pytest.mark.parametrize("kind", CONTROL)
def test_a_control_frame_may_be_empty(kind):
    assert FrameParser().feed(pack(kind)) == [(kind, b"")]


@pytest.mark.parametrize("kind", STREAMED)
def test_an_empty_piece_of_a_body_says_nothing(kind):
    assert FrameParser().feed(pack(kind) + pack(IDLE)) == [(IDLE, b"")]


@pytest.mark.parametrize("seconds", [0.0, 0.25, 4295.0, 1e9], ids=str)
def test_a_request_may_have_run_for_any_time(seconds):
    [(kind, payload)] = FrameParser().feed(pack_taken(2**32 - 1, seconds))
    assert (kind, parse_taken(payload)) == (TAKEN, (2**32 - 1, seconds))


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 6, 7, 64, 299, 10_000])
def test_pieces_of_any_size_make_the_same_frames(size):
    wire = b"".join(pack(kind, payload) for kind, payload in CONVERSATION)
    assert join_pieces(feed_in_pieces(wire, size)) == CONVERSATION


def test_nothing_fed_is_nothing_found():
    assert FrameParser().feed(b"") == []


@pytest.mark.parametrize("kind", STREAMED)
def test_a_body_is_handed_on_as_it_arrives(kind):
    parser = FrameParser()
    assert parser.feed(pack_header(kind, 6) + b"ab") == [(kind, b"ab")]
    assert parser.feed(b"cd") == [(kind, b"cd")]
    assert parser.feed(b"ef" + pack(CANCEL)) == [(kind, b"ef"), (CANCEL, b"")]


@pytest.mark.parametrize("kind", STREAMED)
def test_a_body_frame_may_be_as_large_as_four_bytes_can_say(kind):
    assert FrameParser().feed(pack_header(kind, 2**32 - 1) + b"x") == [(kind, b"x")]


@pytest.mark.parametrize("kind", [0, 30, 127, 255])
def test_an_unknown_kind_is_refused_as_soon_as_its_header_is_there(kind):
    with pytest.raises(FrameError, match=f"kind {kind}"):
        FrameParser().feed(struct.pack("!BI", kind, 0))


@pytest.mark.parametrize("kind", CONTROL)
def test_an_oversize_control_frame_is_refused_before_it_is_collected(kind):
    with pytest.raises(FrameError, match=str(FRAME_LIMIT + 1)):
        FrameParser().feed(pack_header(kind, FRAME_LIMIT + 1))


@pytest.mark.parametrize("line", ["a:\r\n", "a:\xe9\r\n", "a:b\r\n", "a:" + 1000 * "\xe9" + "\r\n"])
def test_the_largest_head_that_may_be_allowed_fits_into_a_frame(line):
    text = "GET / HTTP/1.1\r\nHost: x\r\n"
    text += line * ((HEAD_SIZE_MOST - len(text)) // len(line))
    head = parse_head(text, HeadLimits(head=HEAD_SIZE_MOST, fields=HEAD_SIZE_MOST, field=HEAD_SIZE_MOST))
    payload = serialize_request(make_head(headers=head.fields))
    assert len(payload) < FRAME_LIMIT
    assert FrameParser().feed(pack(REQUEST, payload)) == [(REQUEST, payload)]


def test_a_control_frame_of_the_largest_size_is_taken():
    payload = bytes(FRAME_LIMIT)
    assert FrameParser().feed(pack(REPLY, payload)) == [(REPLY, payload)]


def test_what_http_sends_by_mistake_is_no_frame():
    with pytest.raises(FrameError):
        FrameParser().feed(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"method": "POST", "content_length": "12", "body_length": 12},
        {"body_length": -1, "disbelieved": True, "root_path": "/a/b"},
        {"headers": []},
        {"headers": [("A", ""), ("A", ""), ("b", "two, three")]},
        {"headers": [("X-Name", "J\xfcrgen \xff")]},
        {"target": "/\xe9?\xff=1", "remote_port": "", "remote_addr": ""},
        {"remote_addr": "2001:db8::1", "server_name": "::1", "scheme": "https", "version": "HTTP/1.0"},
        {"target": "http://[::1]:80/?x=\t"},
    ],
)
def test_a_request_head_comes_back_as_it_was(changes):
    head = make_head(**changes)
    assert parse_request(serialize_request(head)) == head


@pytest.mark.parametrize(
    "head",
    [
        build_reply(200, "OK", [("Content-Type", "text/plain")]),
        build_reply(299, "", []),
        build_reply(404, "Not  Found ", [("Set-Cookie", "a=1"), ("set-cookie", "b=2"), ("X-Empty", "")]),
        build_reply(500, "\xe9\xff", [("X-Latin", "\xa0\xff")]),
    ],
)
def test_a_reply_head_comes_back_as_it_was(head):
    assert parse_reply(serialize_reply(head)) == head


@pytest.mark.parametrize("credit", [0, 1, 2**18, 2**32 - 1])
def test_a_credit_comes_back_as_it_was(credit):
    ((kind, payload),) = FrameParser().feed(pack_read(credit))
    assert (kind, parse_read(payload)) == (READ, credit)


def test_whole_and_cut_can_be_told_apart():
    assert WHOLE != CUT


@pytest.mark.parametrize("size", [1, 7, 10_000])
@pytest.mark.parametrize("body", [b"", b"the body"])
@pytest.mark.parametrize("behind", [b"", pack(IDLE), pack(READ, b"1234") + pack(IDLE)])
def test_an_answer_is_handed_on_as_what_it_stands_for(size, body, behind):
    head = build_reply(200, "OK", [("Content-Length", str(len(body)))])
    frames = feed_in_pieces(pack_answer(head, body) + behind, size)
    kinds = [REPLY, *([DATA] if body else []), END]
    assert [kind for kind, _ in frames][: len(kinds)] == kinds
    assert parse_reply(frames[0][1]) == head
    assert frames[len(kinds) - 1] == (END, WHOLE)
    assert b"".join(payload for kind, payload in frames if kind == DATA) == body
    assert frames[len(kinds) :] == FrameParser().feed(behind)


@pytest.mark.parametrize("length", [0, 3, 13])
def test_half_an_answer_is_refused(length):
    with pytest.raises(FrameError):
        FrameParser().feed(pack(ANSWER, bytes(length)))


def test_a_reply_head_knows_its_length_and_its_parts():
    head = build_reply(404, "Not  Found ", [("Set-Cookie", "a: 1"), ("content-length", "7"), ("X-Empty", "")])
    assert (head.status, head.length, head.reason) == (404, 7, "Not  Found ")
    assert head.headers == [("Set-Cookie", "a: 1"), ("content-length", "7"), ("X-Empty", "")]
    assert head.wire.startswith(b"HTTP/1.1 404 Not  Found \r\nSet-Cookie: a: 1\r\n")
    assert build_reply(200, "", []).length == -1


@pytest.mark.parametrize(
    ("frames", "is_there"),
    [
        (b"", False),
        (pack(BODY, b"x" * 100), False),
        (pack(BODY, bytes([CANCEL]) * 100), False),
        (pack(BODY, b"x" * 100) + pack_about(CANCEL, 0, "gone"), True),
        (pack(BODY, b"x" * 100)[:-1], False),
        (pack(BODY, b"") + pack_about(CANCEL, 0, "gone")[:5], True),
        (pack(BODY, b"") + pack_about(CANCEL, 0, "gone")[:4], False),
    ],
)
def test_a_cancel_is_found_among_other_frames(frames, is_there):
    parser = FrameParser()
    assert parser.foresees_cancel(frames) == is_there
    assert parser.feed(pack(BODY_END)) == [(BODY_END, b"")]  # nothing was kept


def test_a_cancel_is_found_wherever_the_parser_is():
    frames = pack(BODY, bytes([CANCEL]) * 100) + pack_about(CANCEL, 0, "gone")
    for size in range(110):
        parser = FrameParser()
        parser.feed(frames[:size])
        assert parser.foresees_cancel(frames[size:])
        assert not parser.foresees_cancel(frames[size:109])
