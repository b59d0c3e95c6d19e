"""A drop-in `tornado.httpserver.HTTPServer`."""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
import ssl
from collections.abc import Callable, Iterable, Sequence
from contextvars import Context, copy_context
from dataclasses import replace
from inspect import signature
from typing import Any, Final

from tornado import httpserver
from tornado.httputil import HTTPMessageDelegate, HTTPServerConnectionDelegate
from tornado.ioloop import IOLoop
from tornado.log import app_log
from tornado.netutil import ssl_options_to_context

from waterspout import limits
from waterspout.exceptions import RequestRefused
from waterspout.http.accepting import Listener, Shortage, TLSListener
from waterspout.http.connection import BODY, Connection
from waterspout.http.counting import Connections, count_connections
from waterspout.http.exchange import Exchange
from waterspout.http.intake import Intake
from waterspout.http.private import RequestContext
from waterspout.http.settings import HTTPSettings
from waterspout.system.descriptors import Reserve
from waterspout.system.listeners import describe_socket
from waterspout.system.turns import Turns

#: An event loop hands over an accepted connection at most this many turns later.
_ACCEPT_TURNS: Final = 3
#: How often a stop looks whether TLS handshakes are still under way (seconds).
_START_LOOK: Final = 0.02
#: All connections are checked no more often than this, whatever timeouts are set (seconds).
_LEAST_INTERVAL: Final = 0.01


class HTTPServer(httpserver.HTTPServer):
    """Serves any Tornado application, delegate or callback, on our own kind of connection.

    Takes all of Tornado's arguments, and `settings`, an `HTTPSettings`, for what Tornado has no name for.
    Without `idle_connection_timeout` the timeouts of `settings` apply to heads and to idle connections.
    """

    # Defaults, since Tornado's own constructor assigns `ssl_options`.
    _ssl_options: ssl.SSLContext | dict[str, Any] | None = None
    _listeners: Sequence[Listener] = ()
    #: Those that are closed, while connections that they have accepted are still being started.
    _closed_listeners: Sequence[Listener] = ()

    def initialize(self, *args: Any, settings: HTTPSettings | None = None, **kwargs: Any) -> None:
        given = signature(super().initialize).bind(*args, **kwargs).arguments
        super().initialize(*args, **kwargs)
        self.settings = settings or HTTPSettings()
        if idle := given.get("idle_connection_timeout"):  # 0 is none, as for Tornado
            self.settings = replace(self.settings, head_timeout=idle, keep_alive_timeout=idle)
        max_body_size, max_buffer_size = given.get("max_body_size"), given.get("max_buffer_size")
        self.max_body_size: int = (
            max_body_size if max_body_size is not None else (max_buffer_size or 100 * limits.MIB)
        )
        if size := given.get("max_header_size"):
            bounds = self.settings.head._replace(head=size)
            if settings is None:  # it is raised for one large field, or one long line
                line, field = max(size, bounds.request_line), max(size, bounds.field)
                bounds = bounds._replace(request_line=line, field=field)
            self.settings = replace(self.settings, head=bounds)
        self.chunk_size: int = given.get("chunk_size") or limits.BODY_PIECE
        self.draining = False
        #: The context each request begins with. Event loops would let them share one, or pass theirs on.
        self.variables = Context()
        #: Called with a client's address and the refusal of a head that no delegate gets to see.
        self.on_refused: Callable[[str, RequestRefused], None] | None = None
        self.open = self._choose_opening()
        #: Loop times: when all connections were last checked, and when they will be next.
        self.now = self.soon = 0.0
        self.trusted = frozenset(self.trusted_downstream or ())
        self._open: set[Connection] = set()
        #: Has Tornado's name: this is where others look for the port (jupyter, distributed).
        self._sockets: dict[int, socket.socket] = {}
        #: Those that clients don't get.
        self.reserve = Reserve()
        self._shortage = Shortage(lambda: self.count_connections(), self._describe)
        self._sweeper: asyncio.Handle | None = None
        self._interval = max(_LEAST_INTERVAL, min(limits.SWEEP_INTERVAL, self.settings.shortest / 4))
        self._quiet: asyncio.Event | None = None

    # -- Tornado's interface -----------------------------------------------------------------------------

    def add_sockets(self, sockets: Iterable[socket.socket]) -> None:
        """Accept connections on `sockets`, which are already listening."""
        self.draining = False  # it may have been drained, and now continues
        # Through Tornado, which makes one where there is none yet: `listen()` in a thread, before the loop.
        self._io_loop = IOLoop.current()
        self.loop: asyncio.AbstractEventLoop
        self.loop = self._io_loop.asyncio_loop  # type: ignore[attr-defined]  # all of them have one
        self.turns = Turns(limits.TURNS_AT_ONCE)
        self.done: asyncio.Future[None] = self.loop.create_future()
        self.done.set_result(None)
        self._turn()
        self.variables = copy_context()
        if self.ssl_options is not None:
            self.ssl_options = ssl_options_to_context(self.ssl_options, server_side=True)
        self._listen_on(sockets)

    def _listen_on(self, sockets: Iterable[socket.socket]) -> None:
        def make() -> Intake:
            return Intake(self)

        loop, listeners = self._io_loop, list(self._listeners)
        callbacks = self._on_loop_closed, self._find_most, self._on_exhausted
        for sock in sockets:
            self._sockets[sock.fileno()] = sock
            if self.ssl_options is not None:
                listeners.append(TLSListener(loop, sock, make, *callbacks, self._find_context))
            else:
                listeners.append(Listener(loop, sock, make, *callbacks))
        self._listeners = listeners

    def _on_loop_closed(self) -> None:
        """There will be no more answers: let the clients see that."""
        for connection in self._open:
            connection.shut_down()

    @property
    def ssl_options(self) -> ssl.SSLContext | dict[str, Any] | None:
        """TLS for connections still to come, as with Tornado's server: assign it to renew a certificate, or
        to turn TLS on or off for a port that is already open.
        """
        return self._ssl_options

    @ssl_options.setter
    def ssl_options(self, options: ssl.SSLContext | dict[str, Any] | None) -> None:
        changes = bool(self._listeners) and (self._ssl_options is None) != (options is None)
        self._ssl_options = options
        if changes:
            self._close_listeners()
            self._listen_on(list(self._sockets.values()))

    def _find_most(self) -> float:
        """From which number on descriptors are not for clients."""
        first = self.reserve.first
        return math.inf if first is None else first

    def _on_exhausted(self, error: OSError) -> None:
        now = self.loop.time()
        self._shortage.tell(error, now, self._find_most())
        self._make_room(now)

    def _describe(self) -> str:
        is_secure = self.ssl_options is not None
        return " and ".join(describe_socket(sock, is_secure) for sock in self._sockets.values())

    def _find_context(self) -> ssl.SSLContext:
        assert self.ssl_options is not None  # otherwise there is another kind of listener
        return ssl_options_to_context(self.ssl_options, server_side=True)

    def stop(self) -> None:
        """Stop accepting; open connections continue."""
        self._close_listeners()
        for sock in self._sockets.values():
            sock.close()
        self._sockets.clear()

    def _close_listeners(self) -> None:
        for listener in self._listeners:
            listener.close()
        closed = (*self._closed_listeners, *self._listeners)
        self._closed_listeners = [listener for listener in closed if listener.find_starting()]
        self._listeners = ()

    async def close_all_connections(self) -> None:
        """Close all connections that speak HTTP at once, and wait until they are closed."""
        while self._open:
            connection = next(iter(self._open))
            connection.abort()
            await connection.wait_closed()

    def on_close(self, server_conn: object) -> None:
        """A connection is closed, or no longer speaks HTTP."""
        self._open.discard(server_conn)
        if not self._open and self._quiet is not None:
            self._quiet.set()

    # -- beyond Tornado's --------------------------------------------------------------------------------

    async def drain(self, timeout: float) -> None:
        """Stop accepting, close idle connections, wait for running requests, `timeout` seconds at most."""
        end = self.loop.time() + timeout
        self.stop()
        self.draining = True
        for _ in range(_ACCEPT_TURNS):
            await asyncio.sleep(0)
        for connection in list(self._open):
            connection.drain()
        # Who is in the middle of a TLS handshake has as long as who is idle.
        until = min(end, self.loop.time() + limits.DRAIN_IDLE)
        while self._find_starting() and self.loop.time() < until:
            await asyncio.sleep(_START_LOOK)
        self._quiet = asyncio.Event()
        if not self._open:
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._quiet.wait(), end - self.loop.time())

    def running_tasks(self) -> list[asyncio.Future[None]]:
        """The tasks of native handlers whose replies are incomplete, as far as the application tells."""
        exchanges = (connection.exchange for connection in self._open)
        tasks = [exchange.task for exchange in exchanges if exchange is not None]
        return [task for task in tasks if task is not None and not task.done()]

    def descriptors(self) -> list[int]:
        """The descriptors of all connections that speak HTTP, or are about to."""
        return [*self._find_starting(), *(connection.fileno() for connection in self._open)]

    def _find_starting(self) -> set[int]:
        """The descriptors of those that are about to. Mostly there are none: then no other is looked at."""
        listeners = (*self._listeners, *self._closed_listeners)
        found = {number for listener in listeners for number in listener.find_starting()}
        return found and found.difference([-1], (connection.fileno() for connection in self._open))

    def count_connections(self) -> Connections:
        """Count how many there are, and how many there can be. Looks at each WebSocket."""
        return count_connections(len(self._find_starting()) + len(self._open), self.request_callback)

    def count_arriving(self) -> int:
        """Count the requests whose bodies are not whole."""
        return sum(connection.state == BODY for connection in self._open)

    def _choose_opening(self) -> Callable[[Connection, Exchange], HTTPMessageDelegate | None]:
        """Choose how a request whose head has arrived gets its delegate (None: the request is complete, and
        runs without one).

        By `start_request`, unless the application knows how to use the head, and nothing stands between it
        and the connection.
        """
        is_adapted = self.xheaders or self.conn_params.decompress
        is_overridden = type(self).start_request is not httpserver.HTTPServer.start_request
        if (
            not is_adapted
            and not is_overridden
            and isinstance(self.request_callback, HTTPServerConnectionDelegate)
        ):
            return getattr(self.request_callback, "open_exchange", self.start_request)
        return self.start_request

    # -- connections call these --------------------------------------------------------------------------

    def make_context(self, transport: asyncio.Transport) -> RequestContext:
        """Who the client of a new connection is."""
        sock = transport.get_extra_info("socket")
        secure = transport.get_extra_info("ssl_object") is not None
        protocol = self.protocol or ("https" if secure else "http")
        address = transport.get_extra_info("peername")
        family = sock.family if sock is not None else None
        return RequestContext(address, family, protocol, secure, self.trusted)

    def on_connection(self, connection: Connection) -> None:
        self._open.add(connection)
        if self.draining:
            connection.drain()  # its TLS handshake was under way when the stop began
        if self._sweeper is None:
            self._turn()
            self._sweep_later()

    def _turn(self) -> float:
        self.now = self.loop.time()
        self.soon = self.now + self._interval
        return self.now

    def _sweep_later(self) -> None:
        self._sweeper = self.loop.call_later(self._interval, self._sweep)

    def _sweep(self) -> None:
        """One timer for all connections: a timer for each request costs more than checking each from time to
        time. While nobody is connected there is no timer.
        """
        before = self.now
        now = self._turn()
        missed = now - before - self._interval
        if missed > limits.STOOD_STILL:
            # We were late, not the clients: a stopped process, a frozen machine, a handler that blocks. What
            # has arrived meanwhile is read before any client counts as late.
            for connection in self._open:
                connection.excuse(missed)
        self._check(list(self._open), now)

    def _check(self, connections: list[Connection], now: float) -> None:
        """Check them, a few in each turn of the loop: thousands may be too slow at the same time."""
        for connection in connections[: limits.CHECKED_AT_ONCE]:
            try:
                connection.check(now)
            except Exception:
                app_log.error(
                    "the timeout check for %s failed: its connection is cut off",
                    connection.context,
                    exc_info=True,
                )
                connection.abort()
        rest = [each for each in connections[limits.CHECKED_AT_ONCE :] if each in self._open]
        if rest:
            self._sweeper = self.loop.call_soon(self._check, rest, now)
        elif self._open:
            self._turn()  # the next one is late only by what comes from now on
            self._sweep_later()
        else:
            self._sweeper = None

    def _make_room(self, now: float) -> None:
        """Close idle connections to accept others: an eighth of them, the longest idle first."""
        idle = [one for one in self._open if one.idle_for(now) >= limits.IDLE_FOR_OTHERS]
        idle.sort(key=lambda one: one.idle_for(now), reverse=True)
        for connection in idle[: max(1, len(idle) // 8)]:
            connection.make_room()
