"""Tornado's own HTTP server, made able to drain: `--server tornado`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, Final

from tornado.httpserver import HTTPServer
from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPMessageDelegate,
    RequestStartLine,
    ResponseStartLine,
)

from waterspout.http.counting import Connections, count_connections
from waterspout.limits import DRAIN_IDLE

#: When a timer fires, a request may lie in the kernel, since the event loop was held up. Tornado has read its
#: head, and told the delegate, within this many turns of the loop.
_READ_TURNS: Final = 8


class DrainingServer(HTTPServer):
    """Tornado's server, which knows which of its connections run a request, so that it can drain."""

    def initialize(self, *args: Any, **kwargs: Any) -> None:
        super().initialize(*args, **kwargs)
        self._idle: dict[Any, Any] = {}
        self._running: dict[Any, Any] = {}
        self._arriving: set[Any] = set()
        self._draining = False
        self._quiet = asyncio.Event()

    def start_request(self, server_conn: object, request_conn: HTTPConnection) -> HTTPMessageDelegate:
        """Tornado calls this when a connection waits for its next request."""
        self._forget(server_conn)
        self._idle[server_conn] = request_conn
        if self._draining:
            # Its reply may have begun before the stop, without announcing that it is the last one.
            self._close_later(server_conn)
        delegate = super().start_request(server_conn, request_conn)
        return _Watched(
            delegate, lambda: self._on_head(server_conn), lambda: self._arriving.discard(server_conn)
        )

    def on_close(self, server_conn: object) -> None:
        self._idle.pop(server_conn, None)
        self._forget(server_conn)
        self._check_quiet()
        super().on_close(server_conn)

    async def drain(self, timeout: float) -> None:
        """Accept no more, close idle connections, wait for running requests, `timeout` seconds at most."""
        self.stop()
        # The reply to each request from now on is the connection's last one, and says so: Tornado decides
        # that when it reads a head.
        self.conn_params.no_keep_alive = True
        self._draining = True
        for server_conn in self._idle:
            self._close_later(server_conn, min(DRAIN_IDLE, timeout))
        self._check_quiet()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._quiet.wait(), timeout)

    def running_tasks(self) -> list[asyncio.Future[None]]:
        """The tasks of native handlers whose replies are incomplete, as far as the application has told."""
        tasks = [getattr(request_conn, "task", None) for request_conn in self._running.values()]
        return [task for task in tasks if task is not None and not task.done()]

    def descriptors(self) -> list[int]:
        """The descriptors of all connections that speak HTTP."""
        streams = [server_conn.stream for server_conn in (*self._idle, *self._running)]
        return [stream.socket.fileno() for stream in streams if not stream.closed()]

    def count_connections(self) -> Connections:
        """How many there are, and how many there can be. Those still in a TLS handshake are not known."""
        return count_connections(len(self._idle) + len(self._running), self.request_callback)

    def count_arriving(self) -> int:
        """Count the requests whose bodies are not whole."""
        return len(self._arriving)

    def _on_head(self, server_conn: object) -> None:
        self._running[server_conn] = self._idle.pop(server_conn, None)
        self._arriving.add(server_conn)

    def _forget(self, server_conn: object) -> None:
        self._running.pop(server_conn, None)
        self._arriving.discard(server_conn)

    def _close_later(self, server_conn: object, pause: float = DRAIN_IDLE) -> None:
        """Not at once: an idle client may have a request on its way."""
        asyncio.get_running_loop().call_later(pause, self._close_idle, server_conn)

    def _close_idle(self, server_conn: object, turns: int = _READ_TURNS) -> None:
        """Close it, unless it has a request by now."""
        if turns:
            asyncio.get_running_loop().call_soon(self._close_idle, server_conn, turns - 1)
            return
        request_conn = self._idle.pop(server_conn, None)
        if request_conn is not None:
            request_conn.close()
        self._check_quiet()

    def _check_quiet(self) -> None:
        if self._draining and not self._running and not self._idle:
            self._quiet.set()


class _Watched(HTTPMessageDelegate):
    """A delegate that also calls `on_head` when the head of its request has arrived, and `on_whole` when all
    of it has.
    """

    def __init__(
        self, delegate: HTTPMessageDelegate, on_head: Callable[[], None], on_whole: Callable[[], None]
    ) -> None:
        self._delegate = delegate
        self._on_head, self._on_whole = on_head, on_whole
        self.data_received = delegate.data_received  # type: ignore[method-assign]
        self.on_connection_close = delegate.on_connection_close  # type: ignore[method-assign]

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        self._on_head()
        return self._delegate.headers_received(start_line, headers)

    def finish(self) -> None:
        self._on_whole()
        self._delegate.finish()
