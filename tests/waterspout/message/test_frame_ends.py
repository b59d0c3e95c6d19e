"""Where a client's frames end, however they arrive."""

import struct

import pytest

from tests.waterspout.websocket.raw import BINARY, CLOSE, PING, TEXT, close, frame
from waterspout.message.frame_ends import GOING_AWAY, FrameEnds

FRAMES = [
    frame(TEXT, "hello"),
    frame(PING, b""),
    frame(BINARY, bytes(range(126))),
    frame(BINARY, bytes(65_536)),
    close(1000),
    b"\x81\x05plain",
]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 4096, 1_000_000])
def test_they_are_found_in_pieces_of_any_size(size):
    data = b"".join(FRAMES)
    boundaries = {sum(map(len, FRAMES[:count])) for count in range(len(FRAMES) + 1)}
    ends = FrameEnds()
    assert ends.is_between
    for start in range(0, len(data), size):
        piece = data[start : start + size]
        ends.feed(piece)
        assert ends.is_between is (start + len(piece) in boundaries)
    assert ends.is_between


def test_nothing_changes_nothing():
    ends = FrameEnds()
    ends.feed(b"")
    assert ends.is_between
    ends.feed(frame(TEXT, "hello")[:3])
    ends.feed(b"")
    assert not ends.is_between


def test_who_goes_away_says_so_in_one_frame():
    assert GOING_AWAY[0] & 0xF == CLOSE
    assert GOING_AWAY[6:] == struct.pack("!H", 1001)
    ends = FrameEnds()
    ends.feed(GOING_AWAY)
    assert ends.is_between
