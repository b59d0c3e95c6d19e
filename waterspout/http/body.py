"""A request's body: from the connection's bytes to the body's. Pure. RFC 9112 sections 6 and 7.

Two decoders with one interface: `feed(data)` returns the part of the body that is in `data`; `rest` holds
what it has not looked at: once `done`, the bytes after the body, which belong to the next request.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from waterspout import limits
from waterspout.exceptions import RequestRefused
from waterspout.http.head import HeadLimits, parse_trailers

#: "Bad whitespace" before an extension, which a recipient must parse (RFC 9110 section 5.6.3).
_BLANKS: Final = rb"[\t ]{0,%d}" % limits.CHUNK_EXTENSION
_EXTENSION: Final = rb"(?:%b;[\t\x20-\x7e\x80-\xff]{0,%d})?" % (_BLANKS, limits.CHUNK_EXTENSION)
_SIZE_LINE: Final = re.compile(rb"([0-9A-Fa-f]{1,16})(" + _EXTENSION + rb")\r\n")
#: What may still become a size line.
_SIZE_LINE_BEGUN: Final = re.compile(
    rb"[0-9A-Fa-f]{0,16}|[0-9A-Fa-f]{1,16}(?:" + _BLANKS + rb"|" + _EXTENSION + rb"\r?)"
)


class FixedBody:
    """A body of `length` bytes, at least one.

    Attributes: `left`, how many of them have not arrived.
    """

    __slots__ = ("done", "left", "rest")

    def __init__(self, length: int) -> None:
        self.left = length
        self.done = False
        self.rest = b""

    def feed(self, data: bytes) -> bytes:
        size = len(data)
        if size < self.left:
            self.left -= size
            return data
        self.done = True
        if size == self.left:
            return data
        data, self.rest = data[: self.left], data[self.left :]
        return data


class ChunkedBody:
    """A chunked body (RFC 9112 section 7.1): extensions are ignored, trailers validated and dropped.

    Never holds more than one size line, or the trailers. Looks at no more than `CHUNKS_AT_ONCE` chunks at
    once: a megabyte of one-byte chunks would keep all other clients waiting for a quarter of a second.
    """

    __slots__ = ("_bounds", "_extensions", "_left", "_partial", "_step", "done", "rest")

    def __init__(self, bounds: HeadLimits) -> None:
        self._bounds = bounds
        self._partial = b""
        self._left = 0
        self._extensions = 0
        self._step: Callable[[ChunkedBody, bytes, int, list[bytes]], int] = ChunkedBody._read_size
        self.done = False
        self.rest = b""

    def feed(self, data: bytes) -> bytes:
        """Raises RequestRefused (400, 431): the framing is broken, or does not end."""
        if self._partial:
            data, self._partial = self._partial + data, b""
        pieces: list[bytes] = []
        position = 0
        self.rest = b""
        while not self.done:
            if len(pieces) == limits.CHUNKS_AT_ONCE:
                self.rest = data[position:]
                break
            after = self._step(self, data, position, pieces)
            if after < 0:
                self._partial = data[position:]
                break
            position = after
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    # Each step returns the position after what it consumed, or -1 if it needs more bytes. Steps are kept as
    # functions of the class: a bound method, kept on its own object, would be a reference cycle.

    def _read_size(self, data: bytes, position: int, _pieces: list[bytes]) -> int:
        match = _SIZE_LINE.match(data, position)
        if match is None:
            if _SIZE_LINE_BEGUN.fullmatch(data, position) is None:
                raise RequestRefused(400, "invalid chunk size")
            return -1
        self._left = int(match[1], 16)
        # An extension that is small compared with its data is free, however long the body is.
        free = limits.CHUNK_EXTENSION_FREE + 2 * self._left
        self._extensions = max(0, self._extensions + len(match[2]) - free)
        if self._extensions > limits.CHUNK_EXTENSIONS:
            raise RequestRefused(400, "chunk extensions too long")
        self._step = ChunkedBody._read_data if self._left else ChunkedBody._read_trailers
        return match.end()

    def _read_data(self, data: bytes, position: int, pieces: list[bytes]) -> int:
        piece = data[position : position + self._left]
        if not piece:
            return -1
        pieces.append(piece)
        self._left -= len(piece)
        if not self._left:
            self._step = ChunkedBody._read_data_end
        return position + len(piece)

    def _read_data_end(self, data: bytes, position: int, _pieces: list[bytes]) -> int:
        found = data[position : position + 2]
        if found == b"\r\n":
            self._step = ChunkedBody._read_size
            return position + 2
        if found in (b"", b"\r"):
            return -1
        raise RequestRefused(400, "improperly terminated chunk")

    def _read_trailers(self, data: bytes, position: int, _pieces: list[bytes]) -> int:
        if data.startswith(b"\r\n", position):
            return self._end(data, position + 2)
        end = data.find(b"\r\n\r\n", position)
        if (len(data) if end < 0 else end) - position > limits.TRAILER_SIZE:
            raise RequestRefused(431, "trailers too long")
        if end < 0:
            return -1
        parse_trailers(data[position : end + 2].decode("latin-1"), self._bounds)
        return self._end(data, end + 4)

    def _end(self, data: bytes, position: int) -> int:
        self.done = True
        self.rest = data[position:]
        return position
