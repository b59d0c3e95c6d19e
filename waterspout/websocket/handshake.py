"""The client's upgrade request, and the answer to it (RFC 6455 section 4.2).

`WebSocketHandler.get` has already checked `Upgrade`, `Connection` and the origin.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from typing import Final, NamedTuple

from tornado.log import gen_log
from tornado.websocket import WebSocketHandler

from waterspout.websocket.deflate import Deflater, Inflater, negotiate
from waterspout.websocket.frames import FrameParser
from waterspout.websocket.private import websocket_mask
from waterspout.websocket.stream import StreamTransport

_REQUIRED: Final = ("Host", "Sec-WebSocket-Key", "Sec-WebSocket-Version")
_MAGIC: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Answer(NamedTuple):
    """What was agreed on: how to read what the client sends, and how to compress messages to it, if so."""

    subprotocol: str | None
    parser: FrameParser
    deflater: Deflater | None


def compute_accept(key: str) -> str:
    """The value of `Sec-WebSocket-Accept` for that of `Sec-WebSocket-Key`."""
    return base64.b64encode(hashlib.sha1(key.encode() + _MAGIC).digest()).decode()


def answer(handler: WebSocketHandler) -> Answer | None:
    """Answer 101; or 400, and None, when a header is missing."""
    headers = handler.request.headers
    if not all(headers.get(name) for name in _REQUIRED):
        _refuse(handler)
        return None
    subprotocol = _select_subprotocol(handler)
    parser, deflater = _agree_on_compression(handler)
    handler.clear_header("Content-Type")
    handler.set_status(101)
    handler.set_header("Upgrade", "websocket")
    handler.set_header("Connection", "Upgrade")
    handler.set_header("Sec-WebSocket-Accept", compute_accept(headers["Sec-WebSocket-Key"]))
    handler.finish()
    return Answer(subprotocol, parser, deflater)


def take_over(handler: WebSocketHandler, protocol: asyncio.Protocol) -> None:
    """Give the connection to `protocol`: our HTTP server hands over its transport, Tornado's a stream."""
    settle = getattr(handler.request, "settle", None)
    if settle is not None:  # it is ours: Tornado's keeps its head once
        settle()
    switch_protocols = getattr(handler.request.connection, "switch_protocols", None)
    if switch_protocols is not None:
        switch_protocols(protocol)
    else:
        StreamTransport(handler.detach(), protocol)


def _refuse(handler: WebSocketHandler) -> None:
    handler.set_status(400)
    handler.finish("Missing/Invalid WebSocket headers")
    gen_log.debug("Missing/Invalid WebSocket headers")


def _agree_on_compression(handler: WebSocketHandler) -> tuple[FrameParser, Deflater | None]:
    options, size = handler.get_compression_options(), handler.max_message_size
    offers = handler.request.headers.get("Sec-WebSocket-Extensions", "")
    agreement = None if options is None else negotiate(offers)
    if agreement is None:
        return FrameParser(size, unmask=websocket_mask), None
    handler.set_header("Sec-WebSocket-Extensions", agreement.serialize())
    inflate = Inflater(agreement, size).inflate
    return FrameParser(size, inflate=inflate, unmask=websocket_mask), Deflater(agreement, options or {})


def _select_subprotocol(handler: WebSocketHandler) -> str | None:
    field = handler.request.headers.get("Sec-WebSocket-Protocol")
    offered = [name.strip() for name in field.split(",")] if field else []
    selected = handler.select_subprotocol(offered)
    if selected:
        assert selected in offered
        handler.set_header("Sec-WebSocket-Protocol", selected)
    return selected
