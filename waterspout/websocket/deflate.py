"""permessage-deflate: its negotiation, and its two directions (RFC 7692). Pure.

A zlib context takes up to 256 KiB (out) or 32 KiB (in). None is made before the first message that needs it.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from waterspout.websocket.frames import INVALID_DATA, TOO_BIG, ProtocolError

_NAME: Final = "permessage-deflate"
#: Tornado's own: `GZipContentEncoding.GZIP_LEVEL`.
_LEVEL: Final = 6
#: zlib's default.
_MEM_LEVEL: Final = 8
#: What a flushed stream ends with, and a message doesn't (RFC 7692 section 7.2.1).
_TAIL: Final = b"\x00\x00\xff\xff"
#: A window of 256 bytes can be read, but zlib can't write a raw stream with one.
_LEAST_BITS: Final = {"server_max_window_bits": 9, "client_max_window_bits": 8}
#: Decimal, without leading zeros (RFC 7692 section 7.1.2).
_BITS: Final = re.compile(r"[89]|1[0-5]")

Parameters = dict[str, str | None]


class Agreement(NamedTuple):
    """What both sides have agreed on. The window is given as the power of two; None: not mentioned, 15."""

    server_no_context_takeover: bool = False
    client_no_context_takeover: bool = False
    server_max_window_bits: int | None = None
    client_max_window_bits: int | None = None

    def serialize(self) -> str:
        """For the field `Sec-WebSocket-Extensions` of the answer."""
        parts = [_NAME]
        for name, value in zip(self._fields, self, strict=True):
            if value is True:
                parts.append(name)
            elif value:
                parts.append(f"{name}={value}")
        return "; ".join(parts)


def negotiate(field: str) -> Agreement | None:
    """The first offer in the field `Sec-WebSocket-Extensions` that can be accepted.

    An offer with a parameter that is unknown, repeated or out of range is declined, and the next one tried
    (RFC 7692 section 7.1).
    """
    for name, parameters in _parse_offers(field):
        agreement = _accept(parameters) if name == _NAME and parameters is not None else None
        if agreement is not None:
            return agreement
    return None


def _parse_offers(field: str) -> Iterator[tuple[str, Parameters | None]]:
    """Name and parameters of each offer; None for parameters: one is repeated.

    A quoted value must still be a token (RFC 6455 section 9.1), so an offer with a comma or semicolon in
    quotes is declined, however it is split.
    """
    for offer in field.split(","):
        name, *rest = (part.strip() for part in offer.split(";"))
        parameters = dict(_parse_parameter(part) for part in rest)
        yield name, parameters if len(parameters) == len(rest) else None


def _parse_parameter(text: str) -> tuple[str, str | None]:
    name, equals, value = (part.strip() for part in text.partition("="))
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = value[1:-1]
    return name, value if equals else None


def _accept(parameters: Parameters) -> Agreement | None:
    values: dict[str, Any] = {}
    for name, value in parameters.items():
        if name in ("server_no_context_takeover", "client_no_context_takeover") and value is None:
            values[name] = True
        elif name == "client_max_window_bits" and value is None:
            continue  # it only says that we may ask for less
        elif name not in _LEAST_BITS or not _BITS.fullmatch(value or ""):
            return None
        else:
            values[name] = int(value or "")
            if values[name] < _LEAST_BITS[name]:
                return None
    return Agreement(**values)


class Deflater:
    """Compresses the messages that the server sends.

    `options`: `compression_level` and `mem_level`, as from `WebSocketHandler.get_compression_options`.
    """

    __slots__ = ("_arguments", "_takeover", "_zlib")

    def __init__(self, agreement: Agreement, options: dict[str, Any]) -> None:
        level, mem_level = options.get("compression_level", _LEVEL), options.get("mem_level", _MEM_LEVEL)
        bits = agreement.server_max_window_bits or zlib.MAX_WBITS
        self._arguments = (level, zlib.DEFLATED, -bits, mem_level)
        self._takeover = not agreement.server_no_context_takeover
        self._zlib: Any = None

    def deflate(self, data: bytes) -> bytes:
        """Compress one whole message (RFC 7692 section 7.2.1)."""
        stream = self._zlib or zlib.compressobj(*self._arguments)
        if self._takeover:
            self._zlib = stream
        compressed: bytes = stream.compress(data) + stream.flush(zlib.Z_SYNC_FLUSH)
        return compressed[: -len(_TAIL)]


class Inflater:
    """Decompresses the messages that the client sends, none to more than `max_message_size` bytes."""

    __slots__ = ("_bits", "_max_message_size", "_takeover", "_zlib")

    def __init__(self, agreement: Agreement, max_message_size: int) -> None:
        self._bits = agreement.client_max_window_bits or zlib.MAX_WBITS
        self._takeover = not agreement.client_no_context_takeover
        self._max_message_size = max_message_size
        self._zlib: Any = None

    def inflate(self, data: bytes | bytearray) -> bytes:
        """Decompress one whole message (RFC 7692 section 7.2.2).

        Raises ProtocolError: it is not a deflate stream, or too long.
        """
        stream = self._zlib or zlib.decompressobj(-self._bits)
        try:
            # One byte more than is allowed: zlib may have more output even after reading all of its input.
            message: bytes = stream.decompress(data + _TAIL, self._max_message_size + 1)
        except zlib.error as error:
            raise ProtocolError(INVALID_DATA, "a compressed message that is broken") from error
        if len(message) > self._max_message_size:
            raise ProtocolError(TOO_BIG, "message too big after decompression")
        # A client may end its stream with every message, and begin a new one (RFC 7692 section 7.2.3.4); what
        # follows the end is an empty block.
        if stream.eof and stream.unused_data.removesuffix(_TAIL) not in (b"", b"\x00"):
            raise ProtocolError(INVALID_DATA, "a compressed message after the end of its stream")
        self._zlib = stream if self._takeover and not stream.eof else None
        return message
