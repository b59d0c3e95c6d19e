"""Transports that can't end by themselves, or not at once. Leaf.

Uses private names of asyncio's TLS (Python 3.11 to 3.15)."""

from __future__ import annotations

import contextlib
import socket
from typing import Any


def pass_below(transport: Any) -> None:
    """The client's side of TLS has ended, and `transport` is about to close behind what is unsent. What
    asyncio's socket transport gets once it is closed may end it twice, which is a traceback in the log; and
    from Python 3.12 on it has nothing but None to call for that, and calls it again and again. So it gets now
    what TLS still holds, and the close_notify.
    """
    if type(transport).__module__ != "asyncio.sslproto":
        return
    try:
        tls = transport._ssl_protocol
        below, encrypted, is_paused = tls._transport, tls._outgoing, tls._ssl_writing_paused
    except AttributeError:
        if transport.get_write_buffer_size():
            transport.abort()  # rather than spin
        return
    if encrypted.pending:
        below.write(encrypted.read())
    if is_paused:  # or the close_notify would wait until there is room
        below._protocol_paused = tls._ssl_writing_paused = False


def close_once(transport: Any) -> None:
    """Close it, unless it is closing already. asyncio's TLS, if it is closed again, for example behind its
    client's close_notify, loses what it is made of: it can't be aborted after that, and raises when asked.
    """
    if not transport.is_closing():
        transport.close()


def send_end(transport: Any) -> None:
    """Tell the client at this moment, without TLS, that nothing more is sent: uvloop's `write_eof` waits for
    the loop's next turn. Nothing may be unsent.
    """
    with contextlib.suppress(AttributeError, OSError):  # it may be closed, or no socket
        sock = socket.socket(fileno=transport.get_extra_info("socket").fileno())
        try:
            sock.shutdown(socket.SHUT_WR)
        finally:
            sock.detach()  # it is the transport's


def close_transport(transport: Any) -> None:
    """Close the socket of one whose event loop is closed; with TLS, only shut down the connection. May be
    called again.
    """
    sock = getattr(transport, "_sock", None)  # asyncio has no public name for it; uvloop closes its own
    if sock is not None:
        transport._sock = None  # or it warns, when collected, that it was not closed
        sock.close()
    elif transport is not None and (sock := transport.get_extra_info("socket")) is not None:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
