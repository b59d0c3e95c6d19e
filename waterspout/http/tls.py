"""TLS on a connection that has just been accepted, before anything of HTTP is there."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import cast

from tornado.log import gen_log

from waterspout.limits import TLS_HANDSHAKE_TIMEOUT


class TLSHandshake(asyncio.Protocol):
    """Makes the handshake, then puts the protocol that `make_protocol` gives in its own place.

    By hand, because an event loop that makes it by itself says nothing when it fails.
    """

    def __init__(self, make_protocol: Callable[[], asyncio.Protocol], context: ssl.SSLContext) -> None:
        self._make_protocol = make_protocol
        self._context = context
        self._early: list[bytes] = []
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        plain = cast(asyncio.Transport, transport)  # uvloop's own class is not registered as one
        plain.pause_reading()  # the first byte is the handshake's
        self._task = asyncio.get_running_loop().create_task(self._shake_hands(plain))

    def data_received(self, data: bytes) -> None:
        """What came with the end of the handshake."""
        self._early.append(data)

    async def _shake_hands(self, plain: asyncio.Transport) -> None:
        peer = plain.get_extra_info("peername")
        try:
            secure = await asyncio.get_running_loop().start_tls(
                plain,
                self,
                self._context,
                server_side=True,
                ssl_handshake_timeout=TLS_HANDSHAKE_TIMEOUT,
            )
        except (OSError, TimeoutError) as error:  # SSLError and ConnectionError are OSErrors
            gen_log.warning("SSL Error with %s: %s", peer, error)
            plain.abort()
            return
        if secure is None or secure.is_closing():  # the client left at the last moment
            return
        protocol = self._make_protocol()
        secure.set_protocol(protocol)
        protocol.connection_made(secure)
        if self._early:
            protocol.data_received(b"".join(self._early))
