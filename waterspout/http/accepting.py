"""Listening sockets: accepting connections, with or without TLS, and running out of descriptors."""

from __future__ import annotations

import asyncio
import errno
import math
import os
import socket
import ssl
from collections.abc import Callable, Collection
from functools import partial
from typing import Final

from tornado.ioloop import IOLoop
from tornado.log import gen_log

from waterspout.http.counting import Connections
from waterspout.http.secure import SecureTransport
from waterspout.limits import (
    ACCEPTS,
    EXHAUSTED_PAUSE,
    HANDSHAKES_AT_ONCE,
    HANDSHAKES_WAITING,
    LAST_ACCEPT,
    TLS_SAID_PAUSE,
)
from waterspout.logs.tally import Tally, since_last
from waterspout.system.garbage import collector
from waterspout.system.hangup import is_readable
from waterspout.system.transport import find_descriptor
from waterspout.system.turns import Turns

#: No descriptor or no memory is left for one more connection.
_EXHAUSTED: Final = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))
#: How long to stop accepting then: some open connections may have ended by that time (seconds).
_PAUSE: Final = 0.5
#: How many reasons for failed handshakes are counted separately.
_REASONS: Final = 16


class Acceptor:
    """Accepts on `sock`, and passes each connection's socket and the client's address to `on_socket`.

    Where no descriptor is left, `on_exhausted` is called with the error. As after any failure, it tries again
    a little later, and clients wait in the backlog meanwhile. `find_most`: returns the number from which on
    descriptors are not for clients. `on_loop_closed`: called when the loop is closed by
    `close(all_fds=True)`; Tornado's test cases do that after each test, and Tornado's own server has no open
    socket then. `is_busy`: whether those that have been accepted should come first.
    """

    def __init__(
        self,
        loop: IOLoop,
        sock: socket.socket,
        on_socket: Callable[[socket.socket, object], None],
        on_loop_closed: Callable[[], None] = lambda: None,
        find_most: Callable[[], float] = lambda: math.inf,
        on_exhausted: Callable[[OSError], None] = lambda error: None,
        is_busy: Callable[[], bool] = lambda: False,
    ) -> None:
        self._sock = sock
        self._is_busy = is_busy
        self._on_socket = on_socket
        self._find_most = find_most
        self._on_exhausted = on_exhausted
        self._on_loop_closed = on_loop_closed
        self._loop = loop
        self._pause: object | None = None
        self._failures = Tally(EXHAUSTED_PAUSE)
        sock.setblocking(False)
        self._resume()

    def stop(self) -> None:
        """Stop accepting."""
        if self._pause is not None:
            self._loop.remove_timeout(self._pause)
        self._loop.remove_handler(self)

    def fileno(self) -> int:
        """For the loop."""
        return self._sock.fileno()

    def close(self) -> None:
        """For the loop, which is being closed."""
        self._sock.close()
        self._on_loop_closed()

    def _resume(self) -> None:
        self._loop.add_handler(self, self._on_event, IOLoop.READ)

    def _on_event(self, _self: object, _events: int) -> None:
        self._accept()

    def _accept(self) -> None:
        if self._is_busy():
            return  # called again in the next iteration
        most = self._find_most()
        for _ in range(ACCEPTS):
            try:
                if most < math.inf:
                    # Before: afterwards there is a client to be turned away.
                    _check_room(os.dup(self._sock.fileno()), most)
                sock, address = self._sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _EXHAUSTED:
                    self._tell(error)
                elif collector.collect():
                    continue  # garbage may have held some
                else:
                    self._on_exhausted(error)
                self._loop.remove_handler(self)
                self._pause = self._loop.call_later(_PAUSE, self._resume)
                return
            try:
                sock.setblocking(False)
                if sock.family in (socket.AF_INET, socket.AF_INET6):
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except OSError:  # macOS: EINVAL, the client has left
                sock.close()
                continue
            self._on_socket(sock, address)

    def _tell(self, error: OSError) -> None:
        """A firewall, a network that is down: it may stay so for hours."""
        if failed := self._failures.count(self._loop.time()):
            gen_log.warning("a connection can't be accepted: %s%s", error, since_last(failed))


class Listener:
    """Accepts on `sock`, and starts a protocol from `make_protocol` on each connection. It may be created
    before the loop runs. The other arguments are for the `Acceptor`.

    Not the event loops' own servers: when no descriptor is left, asyncio's writes a thousand log entries a
    second, and no client is served meanwhile; uvloop's turns clients away, and takes longer for each.
    """

    def __init__(
        self,
        loop: IOLoop,
        sock: socket.socket,
        make_protocol: Callable[[], asyncio.Protocol],
        on_loop_closed: Callable[[], None] = lambda: None,
        find_most: Callable[[], float] = lambda: math.inf,
        on_exhausted: Callable[[OSError], None] = lambda error: None,
    ) -> None:
        self._make_protocol = make_protocol
        self._tasks: dict[asyncio.Task[None], socket.socket] = {}
        self._acceptor = Acceptor(
            loop, sock, self._start, on_loop_closed, find_most, on_exhausted, self._is_busy
        )

    def _is_busy(self) -> bool:
        return False

    def close(self) -> None:
        """Stop accepting. Connections that are being started continue."""
        self._acceptor.stop()

    def find_starting(self) -> list[int]:
        """The descriptors of those that have been accepted and have no protocol yet, or only just got one;
        -1: of one that is closed.
        """
        return [sock.fileno() for sock in self._tasks.values()]

    def _make_first(self, address: object) -> asyncio.BaseProtocol:
        """The protocol of the socket itself."""
        return self._make_protocol()

    def _start(self, sock: socket.socket, address: object) -> None:
        task = asyncio.get_running_loop().create_task(self._connect(sock, address))
        self._tasks[task] = sock
        task.add_done_callback(self._tasks.pop)

    async def _connect(self, sock: socket.socket, address: object) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(partial(self._make_first, address), sock)
        except OSError as error:
            if error.errno != errno.EINVAL:  # macOS: the client has left
                self._on_unserved(address, error)
            sock.close()

    def _on_unserved(self, address: object, error: OSError) -> None:
        gen_log.warning("a connection can't be served: %s", error)


class TLSListener(Listener):
    """A `Listener` whose connections begin with a TLS handshake. `find_context` is called for each: a
    certificate may be renewed.
    """

    def __init__(
        self,
        loop: IOLoop,
        sock: socket.socket,
        make_protocol: Callable[[], asyncio.Protocol],
        on_loop_closed: Callable[[], None],
        find_most: Callable[[], float],
        on_exhausted: Callable[[OSError], None],
        find_context: Callable[[], ssl.SSLContext],
    ) -> None:
        self._find_context = find_context
        self._failures: dict[str, Tally] = {}
        self._handshakes: set[SecureTransport] = set()
        self._turns = Turns(HANDSHAKES_AT_ONCE)
        super().__init__(loop, sock, make_protocol, on_loop_closed, find_most, on_exhausted)

    def _make_first(self, address: object) -> asyncio.BaseProtocol:
        on_failure = partial(self._on_failure, address)
        context, make_protocol = self._find_context(), self._make_protocol
        return SecureTransport(context, make_protocol, on_failure, self._handshakes, self._turns)

    def _is_busy(self) -> bool:
        """Then clients wait in the backlog, where they cost nothing, and are noticed when they leave."""
        return len(self._turns) >= HANDSHAKES_WAITING

    def find_starting(self) -> list[int]:
        return [*super().find_starting(), *map(find_descriptor, self._handshakes)]

    def _on_unserved(self, address: object, error: OSError) -> None:
        """For example, the file of a certificate has gone."""
        self._say(error, address)

    def _on_failure(self, address: object, error: Exception) -> None:
        if isinstance(error, ssl.SSLError):
            self._say(error, address)
        else:
            # The client left, or sent nothing for too long: a scan, or a load balancer's health check.
            gen_log.debug("%s has not finished its TLS handshake: %s", address, error)

    def _say(self, error: OSError, address: object) -> None:
        """Log each reason once, then only at intervals: any client can make a handshake fail."""
        reason = str(getattr(error, "reason", None) or type(error).__name__)
        if reason not in self._failures and len(self._failures) >= _REASONS:
            reason = ""  # OpenSSL knows hundreds
        tally = self._failures.setdefault(reason, Tally(TLS_SAID_PAUSE))
        if failed := tally.count(asyncio.get_running_loop().time()):
            what = str(error).strip() or type(error).__name__
            gen_log.warning("SSL Error with %s: %s%s", address, what, since_last(failed))


async def accept_waiting(sockets: Collection[socket.socket]) -> None:
    """Before `sockets` are closed, let the event loop accept the clients that have connected already: closing
    resets them. (It accepts some of them in each turn.)
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + LAST_ACCEPT
    while any(map(is_readable, sockets)) and loop.time() < end:
        await asyncio.sleep(0)


class Shortage:
    """Logs, not too often, that no descriptor is left for one more client.

    `count`: returns how many connections there are; `where`: returns the addresses that nobody can connect
    to. Both are called when the message is logged.
    """

    def __init__(self, count: Callable[[], Connections], where: Callable[[], str]) -> None:
        self._count = count
        self._where = where
        self._tally = Tally(EXHAUSTED_PAUSE)

    def tell(self, error: OSError, now: float, most: float = math.inf) -> None:
        """`error` was raised; descriptors from the number `most` on are not for clients."""
        if not self._tally.count(now):
            return
        there_are = self._count()
        limit = math.inf if there_are.limit is None else there_are.limit
        gen_log.error(
            "no connection can be accepted at %s: %s (%d connection%s open, ulimit -n is %s; %slogged at "
            "most once in %.0f s)",
            self._where(),
            error.strerror,
            there_are.open,
            " is" if there_are.open == 1 else "s are",
            limit if limit < math.inf else "unlimited",
            f"{limit - most:.0f} of them are kept for WSGI processes and files; " if most < limit else "",
            EXHAUSTED_PAUSE,
        )


def _check_room(descriptor: int, most: float) -> None:
    """Close `descriptor`, the last that was opened. Raise OSError: none is left below `most`, as the kernel
    gives the lowest one that is free.
    """
    os.close(descriptor)
    if descriptor >= most:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
