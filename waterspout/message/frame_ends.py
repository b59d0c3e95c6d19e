"""Where the frames of a WebSocket's client end, for those who pass them on unread. Pure."""

from __future__ import annotations

from typing import Final

#: What a client sends that goes away: a masked Close, 1001.
GOING_AWAY: Final = b"\x88\x82\0\0\0\0\x03\xe9"
_MASKED: Final = 0x80
_MASK_SIZE: Final = 4
#: How many bytes the length has behind the second, by what that says.
_LENGTH_SIZES: Final = {126: 2, 127: 8}


class FrameEnds:
    """Fed with all that the client sends, in whatever pieces it comes."""

    def __init__(self) -> None:
        self._begun = b""  # of the head of a frame
        self._left = 0  # to come of a frame whose head is known

    @property
    def is_between(self) -> bool:
        """What came last is the end of a frame, or nothing has come."""
        return not (self._begun or self._left)

    def feed(self, data: bytes) -> None:
        """The next piece (RFC 6455 section 5.2)."""
        data = self._begun + data
        self._begun = b""
        position, self._left = self._left, 0
        while position < len(data):
            end = _find_end(data, position)
            if not end:
                self._begun = data[position:]
                return
            position = end
        self._left = position - len(data)


def _find_end(data: bytes, position: int) -> int:
    """Where the frame that begins there ends, perhaps behind `data`; 0: its head is not whole."""
    start = position + 2
    if start > len(data):
        return 0
    length = data[position + 1] & ~_MASKED
    mask_size = _MASK_SIZE if data[position + 1] & _MASKED else 0
    if size := _LENGTH_SIZES.get(length):
        length = int.from_bytes(data[start : start + size], "big")
        start += size
    start += mask_size
    return start + length if start <= len(data) else 0
