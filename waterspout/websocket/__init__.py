"""WebSockets after the handshake (RFC 6455, RFC 7692), under Tornado's own `WebSocketHandler`.

    handler.py    with_protocol: a handler class that speaks through the protocol below
    handshake.py  the client's upgrade request, and the answer to it
    protocol.py   WebSocketProtocol: one connection from the 101 to the end; an asyncio protocol
    writer.py     FrameWriter: what is sent, and what waits for room
    late.py       a warning about an open() that does not end
    keepalive.py  KeepAlive: pings, made only where they are wanted
    seen.py       ws_connection.stream, as handlers see it
    stream.py     a Tornado `IOStream` as an asyncio transport, for Tornado's own HTTPServer
    frames.py     bytes in, frames out                                (pure)
    deflate.py    permessage-deflate: negotiation and compression     (pure)
    private.py    Tornado's private names

Rule: what a handler can see is Tornado's; what goes over the wire is the RFC's. Nothing waits here: an idle
connection has no task and no coroutine. Knows nothing about our HTTP server or WSGI, and of our other modules
only leaves.
"""

from __future__ import annotations

from waterspout.websocket.handler import with_protocol

__all__ = ["with_protocol"]
