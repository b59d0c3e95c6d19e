"""The parser of client frames, fed anything, in any pieces, and much of it."""

import struct
import time
import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.waterspout.websocket.raw import (
    BINARY,
    CONTINUATION,
    PING,
    TEXT,
    frame,
)
from tests.waterspout.websocket.test_frames import bytewise, parse
from waterspout.websocket.frames import (
    FrameParser,
    ProtocolError,
)

MAX = 1000


# -- whatever comes, and however -------------------------------------------------------------------------

OUTCOMES = (None, 1002, 1007, 1009)
messages = st.lists(st.one_of(st.text(max_size=80), st.binary(max_size=300)), max_size=6)


def outcome(*pieces, **options):
    """None, or the close code; any other error fails the test."""
    try:
        parse(*pieces, **options)
    except ProtocolError as error:
        return error.code
    return None


@st.composite
def conversations(draw):
    """Messages, and the bytes of their fragments with pings among them."""
    sent, wire = draw(messages), b""
    for message in sent:
        data = message.encode() if isinstance(message, str) else message
        cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=4)))
        edges = [0, *cuts, len(data)]
        for index, (start, end) in enumerate(pairwise(edges)):
            first = TEXT if isinstance(message, str) else BINARY
            is_last = index == len(edges) - 2
            wire += frame(CONTINUATION if index else first, data[start:end], fin=is_last)
            wire += frame(PING, b"?") if draw(st.booleans()) else b""
    return sent, wire


@given(conversations(), st.data())
def test_however_it_is_cut_the_messages_are_the_same(conversation, data):
    sent, wire = conversation
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=20)))
    pieces = [wire[start:end] for start, end in zip([0, *cuts], [*cuts, len(wire)], strict=True)]
    assert [payload for opcode, payload in parse(*pieces) if opcode in (TEXT, BINARY)] == sent


@settings(max_examples=500)
@given(st.lists(st.binary(max_size=40), max_size=10), st.booleans())
def test_any_bytes_give_frames_or_a_protocol_error(pieces, compresses):
    assert outcome(*pieces, size=50, inflate=bytes if compresses else None) in OUTCOMES


@settings(max_examples=500)
@given(st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=140)), max_size=8))
def test_any_frames_give_messages_or_a_protocol_error(frames):
    wire = b"".join(frame(first & 15, data, fin=first > 127, rsv=first >> 4 & 7) for first, data in frames)
    assert outcome(wire, size=200) in OUTCOMES


# -- cost ------------------------------------------------------------------------------------------------


def seconds_of(count, make):
    pieces = make(count)
    start = time.thread_time()
    assert parse(*pieces, size=1 << 30)
    return time.thread_time() - start


def trickle(count):
    return bytewise(frame(TEXT, b"a" * count, mask=b"\0" * 4))


def fragments(count):
    one = frame(CONTINUATION, b"a", fin=False, mask=b"\0" * 4)
    return [frame(TEXT, b"a", fin=False), *[one] * count, frame(CONTINUATION)]


def held_back(count):
    """All of them in one piece: nobody asks until all is here."""
    return [b"".join(fragments(count))]


@pytest.mark.parametrize("make", [trickle, fragments, held_back])
def test_cost_grows_as_the_input_does(make):
    seconds_of(1000, make)
    small, large = (min(seconds_of(count, make) for _ in range(3)) for count in (4_000, 64_000))
    assert large < small * 16 * 6  # quadratic would be 256 times


def test_feeding_byte_by_byte_costs_as_the_input_does():
    def feed(count):
        parser, start = FrameParser(MAX), time.thread_time()
        for _ in range(count):
            parser.feed(b"\x82")
        return time.thread_time() - start

    small, large = (min(feed(count) for _ in range(3)) for count in (4_000, 64_000))
    assert large < small * 16 * 6


def test_a_header_makes_no_room_for_what_it_announces():
    parser = FrameParser(1 << 30)
    tracemalloc.start()
    parser.feed(b"\x82\xff" + struct.pack("!Q", 1 << 29) + b"mask" + b"some")
    assert parser.next_frame() is None
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4000


def test_tiny_fragments_cost_no_memory_for_each():
    parser = FrameParser(1 << 20)
    one = frame(CONTINUATION, "é".encode(), fin=False)
    parser.feed(frame(TEXT, fin=False))
    parser.next_frame()
    tracemalloc.start()
    for _ in range(20_000):
        parser.feed(one)
        parser.next_frame()
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert held < 60_000
