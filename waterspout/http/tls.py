"""Listening sockets whose connections speak TLS."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable
from typing import Final

from tornado.log import gen_log

from waterspout.limits import BACKLOG, TLS_HANDSHAKE_TIMEOUT

#: No descriptor or no memory is left for one more connection.
_EXHAUSTED: Final = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))
#: Until then, some of those that there are may have ended (seconds).
_PAUSE: Final = 1.0


class TLSListener:
    """Accepts on `sock`, makes the handshakes, and starts what `make_protocol` gives behind each.

    By hand, because an event loop's own server says nothing of a handshake that fails.
    """

    def __init__(
        self, sock: socket.socket, make_protocol: Callable[[], asyncio.Protocol], context: ssl.SSLContext
    ) -> None:
        self._sock = sock
        self._make_protocol = make_protocol
        self._context = context
        self._loop = asyncio.get_event_loop()
        self._handshakes: set[asyncio.Task[None]] = set()
        self._pause: asyncio.TimerHandle | None = None
        sock.setblocking(False)
        self._loop.add_reader(sock.fileno(), self._accept)

    def close(self) -> None:
        """Accept no more. Handshakes that are under way go on."""
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._sock.fileno())

    def _accept(self) -> None:
        for _ in range(BACKLOG):  # then others want to be served, too
            try:
                sock, address = self._sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _EXHAUSTED:
                    raise
                gen_log.error("can't accept a connection: %s; next try in %.0f s", error, _PAUSE)
                self._loop.remove_reader(self._sock.fileno())
                self._pause = self._loop.call_later(
                    _PAUSE, self._loop.add_reader, self._sock.fileno(), self._accept
                )
                return
            task = self._loop.create_task(self._shake_hands(sock, address))
            self._handshakes.add(task)
            task.add_done_callback(self._handshakes.discard)

    async def _shake_hands(self, sock: socket.socket, address: object) -> None:
        sock.setblocking(False)
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            await self._loop.connect_accepted_socket(
                self._make_protocol,
                sock,
                ssl=self._context,
                ssl_handshake_timeout=TLS_HANDSHAKE_TIMEOUT,
            )
        except (OSError, TimeoutError) as error:  # SSLError and ConnectionError are OSErrors
            gen_log.warning("SSL Error with %s: %s", address, error or type(error).__name__)
            sock.close()
