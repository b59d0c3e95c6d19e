"""The parser of client frames, and how server frames are built."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.waterspout.websocket.raw import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    frame,
    mask_slowly,
)
from waterspout.exceptions import WaterspoutError
from waterspout.websocket.frames import (
    FRAGMENT,
    FrameParser,
    ProtocolError,
    apply_mask,
    build_close,
    build_frame,
    build_header,
    parse_close,
)

MAX = 1000


def parse(*pieces, size=MAX, inflate=None):
    """All frames of all pieces."""
    parser = FrameParser(size, inflate=inflate)
    found = []
    for piece in pieces:
        parser.feed(piece)
        while (each := parser.next_frame()) is not None:
            found.append(tuple(each))
    return found


def code_of(*pieces, **options):
    with pytest.raises(ProtocolError) as caught:
        parse(*pieces, **options)
    assert isinstance(caught.value, WaterspoutError)
    return caught.value.code


def bytewise(data):
    return [bytes([each]) for each in data]


# -- what is read ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 100_000])
def test_a_message_of_any_length(size):
    assert parse(frame(BINARY, b"\x07" * size), size=size) == [(BINARY, b"\x07" * size)]


def test_text_is_a_str_and_the_rest_are_bytes():
    sent = frame(TEXT, "grüß") + frame(BINARY, b"\xff") + frame(PING, b"\xfe") + frame(PONG) + frame(CLOSE)
    assert parse(sent) == [(TEXT, "grüß"), (BINARY, b"\xff"), (PING, b"\xfe"), (PONG, b""), (CLOSE, b"")]


def test_every_frame_of_a_message_comes_out():
    sent = frame(TEXT, "a", fin=False) + frame(CONTINUATION, "b", fin=False) + frame(CONTINUATION, "c")
    assert parse(sent) == [tuple(FRAGMENT), tuple(FRAGMENT), (TEXT, "abc")]


def test_empty_fragments():
    sent = frame(BINARY, fin=False) + frame(CONTINUATION, fin=False) + frame(CONTINUATION)
    assert parse(sent)[-1] == (BINARY, b"")


def test_control_frames_come_between_fragments():
    sent = frame(TEXT, "a", fin=False) + frame(PING, b"now") + frame(CONTINUATION, "b")
    assert parse(sent) == [tuple(FRAGMENT), (PING, b"now"), (TEXT, "ab")]


def test_a_code_point_may_be_cut_by_fragments():
    data = "κόσμε€😀".encode()
    for cut in range(1, len(data)):
        sent = frame(TEXT, data[:cut], fin=False) + frame(CONTINUATION, data[cut:])
        assert parse(sent)[-1] == (TEXT, "κόσμε€😀")


def test_one_byte_at_a_time():
    sent = frame(TEXT, "é" * 200) + frame(BINARY, b"x" * 300, fin=False) + frame(PING, b"p") + frame(0, b"y")
    assert parse(*bytewise(sent)) == parse(sent)


def test_what_comes_while_nobody_asks_is_held():
    parser = FrameParser(MAX)
    for piece in bytewise(frame(TEXT, "one") + frame(TEXT, "two")):
        parser.feed(piece)
    assert parser.held == 18
    assert [parser.next_frame(), parser.next_frame(), parser.next_frame()] == [
        (TEXT, "one"),
        (TEXT, "two"),
        None,
    ]
    assert parser.held == 0


# -- what is refused -------------------------------------------------------------------------------------


@pytest.mark.parametrize("rsv", range(1, 8))
@pytest.mark.parametrize("opcode", [TEXT, BINARY, PING, CLOSE])
def test_reserved_bits(opcode, rsv):
    assert code_of(frame(opcode, rsv=rsv)) == 1002


@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
def test_unknown_opcodes(opcode):
    assert code_of(frame(opcode)) == 1002


@pytest.mark.parametrize("opcode", [TEXT, PING])
def test_a_frame_without_a_mask(opcode):
    assert code_of(bytes([0x80 | opcode, 0])) == 1002


@pytest.mark.parametrize("opcode", [CLOSE, PING, PONG])
def test_a_control_frame_in_fragments(opcode):
    assert code_of(frame(opcode, fin=False)) == 1002


@pytest.mark.parametrize("opcode", [CLOSE, PING, PONG])
def test_a_control_frame_that_is_too_long(opcode):
    assert parse(frame(opcode, b"x" * 125)) == [(opcode, b"x" * 125)]
    assert code_of(frame(opcode, b"x" * 126)[:2]) == 1002


def test_a_continuation_of_nothing():
    assert code_of(frame(CONTINUATION)) == 1002
    assert code_of(frame(TEXT, "a") + frame(CONTINUATION)) == 1002
    assert code_of(frame(TEXT, "a", fin=False) + frame(0, "b") + frame(0, "c")) == 1002


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_a_message_amid_another(opcode):
    assert code_of(frame(TEXT, "", fin=False) + frame(opcode)) == 1002


@pytest.mark.parametrize(
    "length",
    [
        b"\xfe" + struct.pack("!H", 125),
        b"\xfe" + struct.pack("!H", 0),
        b"\xff" + struct.pack("!Q", 65535),
        b"\xff" + struct.pack("!Q", 1 << 63 | 70000),
    ],
)
def test_a_length_that_is_not_the_shortest(length):
    assert code_of(b"\x82" + length + b"mask", size=1 << 64) == 1002


def test_a_refusal_needs_no_more_than_it_needs():
    assert code_of(b"\x83\x80") == 1002
    assert code_of(b"\xc1\x80") == 1002
    assert code_of(b"\x81\x00") == 1002


def test_too_big_is_known_from_the_header():
    assert parse(frame(BINARY, b"x" * MAX)) == [(BINARY, b"x" * MAX)]
    assert code_of(frame(BINARY, b"x" * (MAX + 1))[:8]) == 1009


def test_too_big_in_fragments_is_known_from_the_last_header():
    first = frame(BINARY, b"x" * MAX, fin=False)
    assert parse(first, frame(CONTINUATION))[-1] == (BINARY, b"x" * MAX)
    assert code_of(first, frame(CONTINUATION, b"y")[:6]) == 1009


def test_control_frames_are_no_part_of_a_message():
    assert parse(frame(BINARY, b"x", fin=False), frame(PING, b"yy"), frame(0), size=1)[-1] == (BINARY, b"x")


@pytest.mark.parametrize("text", [b"\xff", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\x80", b"a\xce"])
def test_text_that_is_not_utf_8(text):
    assert code_of(frame(TEXT, text)) == 1007
    assert code_of(*bytewise(frame(TEXT, text))) == 1007


def test_text_fails_at_its_first_wrong_byte():
    sent = frame(TEXT, b"\xce\xba\xf4\x90\x80\x80 and so on")
    assert parse(sent[:9]) == []
    assert code_of(sent[:9], sent[9:10]) == 1007


def test_text_fails_in_the_fragment_that_is_wrong():
    assert code_of(frame(TEXT, b"\xf4", fin=False), frame(0, b"\x90", fin=False)) == 1007


def test_text_that_ends_amid_a_code_point():
    assert code_of(frame(TEXT, b"\xe2\x82", fin=False), frame(0)) == 1007


# -- compressed ------------------------------------------------------------------------------------------


def test_compressed_messages_go_through_inflate():
    sent = frame(TEXT, b"abc", rsv=4) + frame(TEXT, b"def")
    assert parse(sent, inflate=bytes.upper) == [(TEXT, "ABC"), (TEXT, "def")]


def test_a_compressed_message_in_fragments_is_inflated_whole():
    sent = frame(BINARY, b"a", rsv=4, fin=False) + frame(PING) + frame(0, b"b")
    assert parse(sent, inflate=lambda data: bytes(data).upper() + b"!")[-1] == (BINARY, b"AB!")


def test_compressed_bytes_need_not_be_utf_8():
    sent = frame(TEXT, b"\xff", rsv=4, fin=False) + frame(0, b"\xfe")
    assert parse(sent, inflate=lambda data: b"fine")[-1] == (TEXT, "fine")


def test_inflated_text_must_be_utf_8():
    assert code_of(frame(TEXT, b"x", rsv=4), inflate=lambda data: b"\xff") == 1007


@pytest.mark.parametrize("sent", [frame(PING, rsv=4), frame(TEXT, fin=False) + frame(0, rsv=4)])
def test_only_the_first_frame_says_that_it_is_compressed(sent):
    assert code_of(sent, inflate=bytes) == 1002


# -- close frames ----------------------------------------------------------------------------------------

VALID = [1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 3999, 4000, 4999]
INVALID = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535]


@pytest.mark.parametrize("code", VALID)
def test_valid_close_codes(code):
    assert parse_close(struct.pack("!H", code)) == (code, None)
    assert parse_close(struct.pack("!H", code) + "später".encode()) == (code, "später")


@pytest.mark.parametrize("code", INVALID)
def test_invalid_close_codes(code):
    with pytest.raises(ProtocolError) as caught:
        parse_close(struct.pack("!H", code))
    assert caught.value.code == 1002


def test_a_close_frame_without_a_code():
    assert parse_close(b"") == (None, None)


@pytest.mark.parametrize(("payload", "code"), [(b"\x03", 1002), (b"\x03\xe8\xff", 1007)])
def test_broken_close_frames(payload, code):
    with pytest.raises(ProtocolError) as caught:
        parse_close(payload)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("code", "reason", "payload"),
    [
        (None, None, b""),
        (1001, None, b"\x03\xe9"),
        (4000, "bye", b"\x0f\xa0bye"),
        (None, "bye", b"\x03\xe8bye"),
        (1000, b"bye", b"\x03\xe8bye"),
    ],
)
def test_what_a_close_frame_says(code, reason, payload):
    assert build_close(code, reason) == payload


# -- what is written -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "header"),
    [
        (0, b"\x82\x00"),
        (125, b"\x82\x7d"),
        (126, b"\x82\x7e\x00\x7e"),
        (65535, b"\x82\x7e\xff\xff"),
        (65536, b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
    ],
)
def test_lengths_are_written_in_their_shortest_form(size, header):
    assert build_header(BINARY, size) == header
    assert build_frame(BINARY, b"x" * size) == header + b"x" * size


def test_a_compressed_message_says_so():
    assert build_frame(TEXT, b"x", compressed=True) == b"\xc1\x01x"


@pytest.mark.parametrize("opcode", [CLOSE, PING, PONG])
def test_no_control_frame_that_is_too_long_is_written(opcode):
    with pytest.raises(ValueError, match="125"):
        build_frame(opcode, b"x" * 126)


@given(st.binary(min_size=4, max_size=4), st.binary(max_size=100))
def test_masking(mask, data):
    assert apply_mask(mask, data) == mask_slowly(mask, data)
