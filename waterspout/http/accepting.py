"""Accepting connections by hand, and what to do when no descriptor is left for one more."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Callable
from typing import Final

from tornado.log import gen_log

from waterspout.collecting import collector
from waterspout.http.counting import Connections
from waterspout.limits import BACKLOG, EXHAUSTED_PAUSE
from waterspout.tally import Tally

#: No descriptor or no memory is left for one more connection.
_EXHAUSTED: Final = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))
#: How long accepting stops then: some of the open connections may have ended by that time (seconds).
_PAUSE: Final = 0.5


class Acceptor:
    """Accepts on `sock`, and gives each connection's socket and the client's address to `on_socket`.

    When that fails, for nothing is left for one more, say, it looks again a little later: clients wait in the
    backlog meanwhile.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        on_socket: Callable[[socket.socket, object], None],
    ) -> None:
        self._sock = sock
        self._on_socket = on_socket
        self._loop = loop
        self._pause: asyncio.TimerHandle | None = None
        sock.setblocking(False)
        self._resume()

    def close(self) -> None:
        """Accept no more."""
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._sock.fileno())

    def _resume(self) -> None:
        self._loop.add_reader(self._sock.fileno(), self._accept)

    def _accept(self) -> None:
        for _ in range(BACKLOG):  # then others want to be served, too
            try:
                sock, address = self._sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    collector.collect()  # there may be some in what is over
                else:
                    gen_log.warning("a connection can't be accepted: %s", error)  # a firewall, a network down
                self._loop.remove_reader(self._sock.fileno())
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


class PlainListener:
    """Accepts on `sock` by hand, and starts what `make_protocol` gives on each connection.

    For an event loop whose own server, when no descriptor is left, writes a thousand log entries a second and
    serves nobody meanwhile: asyncio's.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        make_protocol: Callable[[], asyncio.Protocol],
    ) -> None:
        self._make_protocol = make_protocol
        self._loop = loop
        self._tasks: set[asyncio.Task[None]] = set()
        self._acceptor = Acceptor(loop, sock, self._start)

    def close(self) -> None:
        """Accept no more. Connections that are being started go on."""
        self._acceptor.close()

    def _start(self, sock: socket.socket, address: object) -> None:
        task = self._loop.create_task(self._connect(sock, address))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, sock: socket.socket, address: object) -> None:
        try:
            await self._loop.connect_accepted_socket(self._make_protocol, sock)
        except OSError as error:
            if error.errno != errno.EINVAL:  # macOS: the client has left
                gen_log.warning("a connection can't be served: %s", error)
            sock.close()


class Listener:
    """Lets the event loop's own server accept on `sock`, which may be told before the loop runs."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        make_protocol: Callable[[], asyncio.Protocol],
    ) -> None:
        serving = loop.create_server(make_protocol, sock=sock, backlog=BACKLOG)
        self._serving = asyncio.ensure_future(serving, loop=loop)

    def close(self) -> None:
        """Accept no more."""
        serving = self._serving
        if serving.done() and not serving.cancelled() and serving.exception() is None:
            serving.result().close()
        else:
            serving.cancel()


class Shortage:
    """Says, not too often, that no descriptors are left: an event loop may turn clients away in silence.

    `count`: how many connections there are; `where`: the addresses that nobody can connect to, "" when it
    listens no more. Both are asked when it is said.
    """

    def __init__(self, count: Callable[[], Connections], where: Callable[[], str]) -> None:
        self._count = count
        self._where = where
        self._tally = Tally(EXHAUSTED_PAUSE)

    def look(self, now: float) -> bool:
        """Try to have one more. True: there is none, also when garbage is collected."""
        error = _try_to_open()
        if error is not None and collector.collect():
            error = _try_to_open()
        if error is None:
            return False
        if self._tally.count(now):
            there_are, where = self._count(), self._where()
            gen_log.error(
                "no connection can be accepted%s: %s (%d connections are open, ulimit -n is %s; "
                "said at most once in %.0f s)",
                f" at {where}" if where else "",
                error.strerror,
                there_are.open,
                there_are.limit if there_are.limit is not None else "unlimited",
                EXHAUSTED_PAUSE,
            )
        return True


def _try_to_open() -> OSError | None:
    """Why no descriptor can be had; None: one can."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        if error.errno in _EXHAUSTED:
            return error
    return None
