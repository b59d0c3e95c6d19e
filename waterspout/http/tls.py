"""Listening sockets whose connections speak TLS."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Final

from tornado.log import gen_log

from waterspout.http.accepting import PlainListener
from waterspout.limits import TLS_HANDSHAKE_TIMEOUT, TLS_SAID_PAUSE, TLS_SHUTDOWN_TIMEOUT
from waterspout.tally import Tally

#: So many reasons why a handshake failed are counted each by itself.
_REASONS: Final = 16


class TLSListener(PlainListener):
    """A `PlainListener` that makes a TLS handshake on each connection first.

    By hand, because an event loop's own server says nothing of a handshake that fails. `find_context` is
    called for each connection: a certificate may be renewed.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        make_protocol: Callable[[], asyncio.Protocol],
        find_context: Callable[[], ssl.SSLContext],
    ) -> None:
        self._find_context = find_context
        self._failures: dict[str, Tally] = {}
        super().__init__(loop, sock, make_protocol)

    async def _connect(self, sock: socket.socket, address: object) -> None:
        try:
            await self._loop.connect_accepted_socket(
                self._make_protocol,
                sock,
                ssl=self._find_context(),
                ssl_handshake_timeout=TLS_HANDSHAKE_TIMEOUT,
                ssl_shutdown_timeout=TLS_SHUTDOWN_TIMEOUT,
            )
        except ConnectionError as error:
            # It has left, or said nothing for too long: a scan, or a balancer that looks whether we live.
            gen_log.debug("%s has not finished its TLS handshake: %s", address, error)
            sock.close()
        except (OSError, TimeoutError) as error:  # SSLError is an OSError
            self._say(error, address)
            sock.close()

    def _say(self, error: OSError, address: object) -> None:
        """Each reason once, and then at times: whoever can connect can have it fail."""
        reason = str(getattr(error, "reason", None) or type(error).__name__)
        if reason not in self._failures and len(self._failures) >= _REASONS:
            reason = ""  # OpenSSL knows hundreds
        tally = self._failures.setdefault(reason, Tally(TLS_SAID_PAUSE))
        if failed := tally.count(self._loop.time()):
            gen_log.warning(
                "SSL Error with %s: %s%s",
                address,
                str(error).strip() or type(error).__name__,
                f" ({failed} such since the last such line)" if failed > 1 else "",
            )
