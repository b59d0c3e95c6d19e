"""One serving process: listen, serve until told to stop, drain."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import socket

import click
from tornado.netutil import bind_sockets
from tornado.web import Application as TornadoApplication

from waterspout import __version__
from waterspout.application import Application
from waterspout.draining import DrainingServer
from waterspout.exceptions import WaterspoutError
from waterspout.http import HTTPServer
from waterspout.hub.local import hub
from waterspout.limits import NOT_SENT, READY_TIMEOUT
from waterspout.settings import ServeSettings
from waterspout.signals import keep_from_children, spare_forked_children

#: How long WebSockets get to answer 1001 (seconds).
_CLOSING_HANDSHAKE = 2.0
#: An app that takes longer to load is worth a word (seconds).
_SLOW_START = 2.0
#: timeout(1), make and some supervisors signal the process and its group: that is one stop (seconds).
_SAME_SIGNAL = 1.0
#: A client gets this long for a request's head, and between two requests (seconds).
_IDLE_CONNECTION = 75.0


class Server:
    """Serves `application`, ours or any of Tornado's, as `settings` say."""

    def __init__(self, application: TornadoApplication, settings: ServeSettings) -> None:
        self._application = application
        self._settings = settings
        self._stop = asyncio.Event()
        self._stop_signalled = 0.0

    async def serve(self) -> None:
        """Serve until SIGTERM or SIGINT, then drain. Raises WaterspoutError: it can't start."""
        sockets = self._bind()
        try:
            if isinstance(self._application, Application):
                await self._start(self._application)
        except BaseException:
            for sock in sockets:
                sock.close()
            raise
        server = self._make_http_server()
        self._handle_signals()
        spare_forked_children()  # those of views that run in threads of this process
        keep_from_children(lambda: [*(sock.fileno() for sock in sockets), *server.descriptors()])
        server.add_sockets(sockets)
        self._announce(sockets)
        await self._stop.wait()
        click.echo(
            f"waterspout: stopping; running requests get at most {self._settings.graceful_timeout:g} s "
            "(once more ends at once)",
            err=True,
        )
        await self._shutdown(server)
        click.echo("waterspout: stopped", err=True)

    def _make_http_server(self) -> HTTPServer | DrainingServer:
        if self._settings.server == "tornado":
            return DrainingServer(
                self._application,
                max_body_size=self._settings.max_body_size,
                idle_connection_timeout=_IDLE_CONNECTION,
            )
        return HTTPServer(self._application, max_body_size=self._settings.max_body_size)

    async def _start(self, application: Application) -> None:
        """Wait for the WSGI app; say so when that takes long."""
        say = asyncio.get_running_loop().call_later(
            _SLOW_START,
            lambda: click.echo(
                f"waterspout: waiting for the WSGI app to load, at most {READY_TIMEOUT:.0f} s", err=True
            ),
        )
        try:
            await application.start()
        finally:
            say.cancel()

    def _bind(self) -> list[socket.socket]:
        host, port = self._settings.host, self._settings.port
        try:
            sockets = bind_sockets(port, host)
        except OSError as error:
            advice = "choose another --port" if error.errno == errno.EADDRINUSE else "see --host and --port"
            reason = error.strerror or error
            raise WaterspoutError(f"can't listen on {host} port {port}: {reason}; {advice}") from None
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):
            for sock in sockets:
                # Accepted sockets inherit it: the kernel takes what it can soon send, and not megabytes more
                # of a client that has stopped reading.
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, NOT_SENT)
        return sockets

    def _handle_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._handle_stop)

    def _handle_stop(self) -> None:
        now = asyncio.get_running_loop().time()
        if not self._stop.is_set():
            self._stop_signalled = now
            self._stop.set()
        elif now - self._stop_signalled > _SAME_SIGNAL:
            click.echo("waterspout: stopped a second time, ending at once", err=True)
            os._exit(1)  # WSGI processes end when their control channel closes

    def _announce(self, sockets: list[socket.socket]) -> None:
        host, port = sockets[0].getsockname()[:2]
        address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        loop = type(asyncio.get_running_loop()).__module__.partition(".")[0]
        click.echo(
            f"waterspout {__version__} serves {address} on {loop}: {describe(self._application)}", err=True
        )

    async def _shutdown(self, server: HTTPServer | DrainingServer) -> None:
        """Nothing new comes in; what runs ends; the rest is cut at the deadline."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._settings.graceful_timeout
        if isinstance(self._application, Application):
            self._application.close_sockets()
        hub.end_subscriptions()
        await server.drain(self._settings.graceful_timeout)
        if isinstance(self._application, Application):
            await self._close_handshakes(self._application, min(deadline, loop.time() + _CLOSING_HANDSHAKE))
            await self._application.stop(max(0.0, deadline - loop.time()))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(server.close_all_connections(), _CLOSING_HANDSHAKE)

    async def _close_handshakes(self, application: Application, deadline: float) -> None:
        while application.open_sockets and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.02)


def describe(application: TornadoApplication) -> str:
    """What serves what, in a few words."""
    if not isinstance(application, Application):
        return f"{type(application).__module__}.{type(application).__name__}"
    native = f"{application.native_rules} native rules"
    if application.container is None:
        return native
    pool = application.container.pool
    settings = pool.settings
    target = pool.target if isinstance(pool.target, str) else getattr(pool.target, "__name__", "a callable")
    where = f"{settings.workers} process" + ("es" if settings.workers > 1 else "") + " x "
    where = (where if settings.workers else "") + f"{settings.threads} thread" + "s" * (settings.threads > 1)
    return f"{native}, everything else to {target} in {where}"
