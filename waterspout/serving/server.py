"""One serving process: listen, serve until told to stop, drain."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import ssl
import threading
import time
from collections.abc import Collection
from contextlib import AbstractContextManager
from functools import partial
from inspect import isawaitable
from typing import Any

from tornado.web import Application as TornadoApplication
from tornado.web import StaticFileHandler

from waterspout import __version__, limits
from waterspout.application import Application
from waterspout.exceptions import ConfigurationError
from waterspout.http import HTTPServer
from waterspout.http.accepting import accept_waiting
from waterspout.limits import (
    GC_THRESHOLDS,
    KEPT_DESCRIPTORS,
    LOOP_STANDS,
    SAME_SIGNAL,
    STANDING_GRACE,
)
from waterspout.logs import loggers
from waterspout.logs.saying import say
from waterspout.logs.standing import MAIN_THREAD, describe_place, find_awaited, find_place
from waterspout.message.proxies import Proxies
from waterspout.message.record import log_refusal
from waterspout.native.handler import forget_templates
from waterspout.ops.gauges import Gauges
from waterspout.routing.containers import find_containers, name_pools, start_containers
from waterspout.serving.certificate import Certificate
from waterspout.serving.deadline import end_now, standing_ended
from waterspout.serving.hearing import Hearing
from waterspout.serving.notifying import Notifier
from waterspout.serving.ops_server import OpsServer
from waterspout.serving.reloading import Watcher, check_watcher, restart
from waterspout.serving.shutdown import shut_down
from waterspout.serving.sources import Sources
from waterspout.serving.tornado_server import DrainingServer
from waterspout.serving.underway import describe_underway
from waterspout.serving.waiting import LateNatives
from waterspout.serving.watchdog import LoopWatchdog
from waterspout.settings import ServeSettings, is_local
from waterspout.signature import takes
from waterspout.system.allocator import keep_freed_memory
from waterspout.system.descriptors import reserve
from waterspout.system.garbage import collector
from waterspout.system.listeners import Listeners, adopt, listen_tcp, listen_unix
from waterspout.system.processes import read_rss
from waterspout.system.signals import keep_from_children, spare_forked_children
from waterspout.system.surroundings import is_own_terminal
from waterspout.wsgi.container import Container
from waterspout.wsgi.pool.pool import Pool
from waterspout.wsgi.pool.telling import find_down, read_pools
from waterspout.wsgi.settings import PoolSettings

logger = logging.getLogger("waterspout.server")

#: Python's own first threshold is 700, or 2000 in newer versions.
_DEFAULT_THRESHOLD = 2000
#: The longest that running requests get when the server restarts because its code has changed: a developer is
#: waiting at the keyboard (seconds).
_RESTART_GRACE = 2.0
#: An app that takes longer to load is worth a message (seconds).
_SLOW_START = 2.0


class Server:
    """Serves `application`, one of ours or any of Tornado's, as `settings` say.

    Attributes: `ends_by`, the time (of `time.monotonic()`) at which its graceful timeout ends; `status`,
    the exit status that it ends with, unless it fails; `has_served`, whether it has begun to accept
    connections.
    """

    def __init__(self, application: TornadoApplication, settings: ServeSettings) -> None:
        self._application = application
        self._settings = settings
        self._stop = asyncio.Event()
        self._stop_signalled = 0.0
        self._stop_signal = ""
        self._restarts = False
        self._started = False
        self._watcher: Watcher | None = None
        self._ops = OpsServer(settings.ops, self._find_gauges()) if settings.ops is not None else None
        self._certificate = Certificate(settings.certfile, settings.keyfile) if settings.certfile else None
        self._http: HTTPServer | DrainingServer | None = None
        self._hearing = Hearing(self._stop.is_set)
        self._watchdog = LoopWatchdog(self._hearing.go_on)
        self._sources = Sources()
        self._late = LateNatives()
        self._manager = Notifier(os.environ)
        self.ends_by = 0.0
        self.status = 0
        self.has_served = False

    def _find_gauges(self) -> Gauges:
        application = self._application
        for owner in (application, getattr(application, "container", None)):
            gauges = getattr(owner, "gauges", None)
            if isinstance(gauges, Gauges):  # a subclass may use the name for something else
                break
        else:
            gauges = Gauges()
        return gauges.of_pools(
            lambda: read_pools(name_pools(application)), lambda: find_down(name_pools(application))
        )

    async def serve(self) -> None:
        """Serve until SIGTERM or SIGINT, then drain. Raises WaterspoutError: it can't start."""
        if self._settings.reload:
            check_watcher()
        self._doubt_debug()
        tls = self._certificate.load() if self._certificate is not None else None
        # Before WSGI processes are started, which take some.
        with self._listen() as listeners, self._keep_descriptors():
            self._doubt_trust(listeners)
            keep_from_children(lambda: self._find_descriptors(listeners))  # an app may fork when it is loaded
            try:
                self._sources.remember()
                self._listen_ops()
                if self._loads_elsewhere:
                    self._handle_signals()  # before the start: an app that hangs while loading can be stopped
                if not await self._start(self._application):
                    listeners.remove_file()
                    logger.info("stopped")
                    return
                if self._settings.reload:
                    self._watcher = Watcher(self._reload_wsgi, self._restart)
                await self._serve(listeners, tls)
            except BaseException:
                if self._settings.inherited and not self.has_served:
                    listeners.keep_file()  # there will be another start, on the same sockets
                raise
            finally:
                self._watchdog.stop()
                self._late.stop()
                collector.stop()
                self._manager.stop()
                self._hearing.end()
                if self._ops is not None:
                    await self._ops.close()
        logger.info("stopped")

    async def _serve(self, listeners: Listeners, tls: ssl.SSLContext | None) -> None:
        server = self._http = self._make_http_server(tls)
        self._handle_signals()  # the app may have set handlers of its own
        spare_forked_children()  # those of views that run in threads of this process
        ops = self._ops
        if ops is not None:
            ops.public = server
        if _calm_collector():
            collector.start(partial(read_rss, os.getpid()))
        keep_freed_memory()
        server.add_sockets(listeners.sockets)
        self.has_served = True
        if ops is not None:
            ops.starting = False
        for descriptor in self._settings.inherited:
            os.close(descriptor)
        self._watchdog.start()  # not earlier: for threads of this process the app is loaded on the loop
        self._late.start()
        self._announce(listeners.describe(secure=tls is not None))
        self._manager.tell("READY=1")
        self._manager.start()
        self._doubt_certificate_later()
        await self._wait_for_stop()
        if ops is not None:
            ops.stopping = True
        if self._restarts:
            await self._restart_on(listeners, server)
            return
        self._manager.tell("STOPPING=1")  # a process that says so and does not end is killed
        logger.info(
            "stopping (%s): running requests get at most %g s (a second SIGTERM or SIGINT ends it at once)%s",
            self._stop_signal,
            self._settings.graceful_timeout,
            describe_underway(
                self._application, server.count_connections().websockets, server.count_arriving()
            ),
        )
        listeners.remove_file()
        if not self._settings.descriptors:  # the next server has them, too, and longer for slow clients
            await accept_waiting(listeners.sockets)
        await self._shutdown(server, self._settings.graceful_timeout)

    async def _restart_on(self, listeners: Listeners, server: HTTPServer | DrainingServer) -> None:
        """Restart on the same sockets. Returns only when told to stop meanwhile."""
        kept = [sock.dup() for sock in listeners.sockets]
        try:
            await self._shutdown(server, min(_RESTART_GRACE, self._settings.graceful_timeout))
        except Exception:
            logger.exception("the application's stop() raised; restarting anyway")
        if self._ops is not None:
            await self._ops.close()
        if self._restarts:
            restart(kept)
        logger.info("stopping (%s): not restarting", self._stop_signal)
        for sock in kept:
            sock.close()

    def _find_descriptors(self, listeners: Listeners) -> list[int]:
        """The descriptors of all listening sockets and client connections."""
        return [
            *(sock.fileno() for sock in listeners.sockets),
            *(self._http.descriptors() if self._http is not None else ()),
            *(self._ops.descriptors() if self._ops is not None else ()),
        ]

    async def _wait_for_stop(self) -> None:
        if self._watcher is not None:
            self._watcher.start()
        await self._stop.wait()
        if self._watcher is not None:
            await self._watcher.stop()

    def _listen(self) -> Listeners:
        settings = self._settings
        if settings.inherited:
            # Copies: if the app can't be loaded, there will be another start, on the same sockets.
            return Listeners(adopt(map(os.dup, settings.inherited)).sockets, settings.unix)
        if settings.descriptors:
            return adopt(settings.descriptors)
        if settings.unix is not None:
            return listen_unix(settings.unix, settings.unix_mode)
        return listen_tcp(settings.host, settings.port)

    def _doubt_trust(self, listeners: Listeners) -> None:
        proxies = getattr(self._application, "proxies", None)
        if not isinstance(proxies, Proxies):
            return
        proxies.tell_of_doubts()
        if doubt := proxies.find_doubt({sock.family for sock in listeners.sockets}):
            say(doubt)

    def _doubt_debug(self) -> None:
        """Restrict debug settings in code as --debug is restricted. `debug` of an application is Tornado's:
        its tracebacks run no code. Raises ConfigurationError.
        """
        if any(pool.settings.debug for pool in self._pools):
            self._settings.refuse_debugger("the Container's debug=True")
        settings, place = self._application.settings, self._settings.find_way_in()
        if place is not None and settings.get("serve_traceback"):
            name = "debug" if settings.get("debug") else "serve_traceback"
            say(f"the application's {name}=True shows tracebacks to anyone who can reach {place}")

    def _listen_ops(self) -> None:
        """Called before the app is loaded, so that clients can see that it is not. Raises WaterspoutError."""
        if self._ops is None or self._settings.ops is None:
            return
        self._ops.listen()
        host = self._settings.ops.host
        if self._settings.ops.path is None and not is_local(host):
            say(
                f"anyone who can reach {self._settings.ops} can read the figures: --ops-bind is meant for "
                "loopback, or for the operators' own network"
            )

    def _keep_descriptors(self) -> AbstractContextManager[None]:
        """Keep some from clients."""
        if self._settings.server == "tornado":  # which lets clients have all of them
            return contextlib.nullcontext()
        pools = [pool.settings for pool in self._pools]
        return reserve.enlarged(
            sum(pool.descriptors for pool in pools),
            KEPT_DESCRIPTORS + sum(pool.descriptors_anew for pool in pools),
            sum(pool.descriptors_of_threads for pool in pools),
        )

    def _make_http_server(self, tls: ssl.SSLContext | None) -> HTTPServer | DrainingServer:
        settings = self._settings
        # An application of ours has its own limits for each side.
        size = None if isinstance(self._application, Application) else settings.max_body_size
        if settings.server == "tornado":
            return DrainingServer(
                self._application,
                ssl_options=tls,
                max_body_size=size,
                max_header_size=settings.http.head.head,
                idle_connection_timeout=settings.http.keep_alive_timeout,
            )
        server = HTTPServer(self._application, ssl_options=tls, max_body_size=size, settings=settings.http)
        server.on_refused = log_refusal
        server.reserve = reserve
        return server

    async def _start(self, application: TornadoApplication) -> bool:
        """Wait for the WSGI app, and whatever else is started; say so when that takes long. Returns False if
        told to stop meanwhile.
        """
        starting = asyncio.ensure_future(_start_heard(application))
        standing = threading.Timer(_SLOW_START + LOOP_STANDS, _say_standing)
        standing.daemon = True
        if self._loads_elsewhere:  # else the app is loaded on the loop, and `said_when_late` reports it
            with contextlib.suppress(RuntimeError):  # no thread can be started
                standing.start()
        late = asyncio.get_running_loop().call_later(_SLOW_START, self._say_late, starting, standing)
        # Not sooner: one that is told to stop may go on.
        starting.add_done_callback(lambda _: late.cancel())
        starting.add_done_callback(lambda _: standing.cancel())
        stopping = asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
            if not self._stop.is_set():
                await starting
                self._started = True
                return True
            what = "the WSGI app is still being loaded" if self._loads else "start() is still under way"
            logger.info("stopping (%s): %s", self._stop_signal, what)
        finally:
            stopping.cancel()
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
        if isinstance(application, Application):  # others have nothing left to stop
            await application.stop(0)
        return False

    def _say_late(self, starting: asyncio.Task[None], standing: threading.Timer) -> None:
        standing.cancel()
        if starting.done():
            return  # it has blocked the loop until now, and is done
        if self._loads and self._loads_elsewhere:  # for threads `said_when_late` says so
            most = max(pool.settings.ready_timeout for pool in self._pools)
            say(f"waiting for the WSGI app to load, at most {most:.0f} s")
        elif not self._loads and _starts_itself(self._application):
            _say_start(find_awaited(starting.get_coro()))

    @property
    def _loads(self) -> bool:
        """Whether we wait for the WSGI app, rather than for what the application does before or after it."""
        return any(
            pool.is_open and not (pool.crews and all(crew.ready for crew in pool.crews))
            for pool in self._pools
        )

    def _handle_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._handle_stop, number)
        self._on_terminal = is_own_terminal()
        loop.add_signal_handler(signal.SIGHUP, self._handle_hangup)
        self._hearing.begin()

    def _handle_hangup(self) -> None:
        """Reload; but if our terminal has gone, stop: then the signal is not a request to reload."""
        if self._on_terminal and not is_own_terminal():
            self._handle_stop(signal.SIGHUP)
        else:
            self._renew_certificate()
            self._forget_files()
            self._reload()

    def _renew_certificate(self) -> None:
        """Load the certificate again: new connections get what is in the files by now."""
        if self._certificate is None or self._http is None:
            return
        try:
            self._http.ssl_options = self._certificate.load()
        except ConfigurationError as error:
            logger.error("SIGHUP: the old certificate stays: %s", error)
        else:
            logger.info("SIGHUP: the certificate has been reloaded, for new connections")

    def _forget_files(self) -> None:
        """Static files and templates may have been deployed, too: let `static_url` have their new versions,
        and native handlers render what they are by now.
        """
        forget_templates()
        own = self._application.settings.get("static_handler_class", StaticFileHandler)
        for handler in {StaticFileHandler, own}:
            handler.reset()

    def _doubt_certificate_later(self) -> None:
        """Check once a day: a certificate that was valid at the start may expire while it is in use."""
        if self._certificate is not None:
            asyncio.get_running_loop().call_later(limits.CERTIFICATE_LOOK, self._doubt_certificate)

    def _doubt_certificate(self) -> None:
        if self._certificate is not None and not self._stop.is_set():
            self._certificate.doubt()
            self._doubt_certificate_later()

    def _reload(self) -> None:
        """New WSGI processes take over from the old ones; native code stays as it is."""
        if not (containers := find_containers(self._application)):
            logger.warning("SIGHUP: there is no WSGI app to reload; native code is loaded by a restart")
        elif not self._started:
            logger.warning("SIGHUP: the server is still starting; send it again when that is done")
        elif not self._stop.is_set():
            for container in containers:
                container.reload()
            if not self._settings.reload:  # else it restarts by itself
                self._sources.tell_changed()

    @property
    def _loads_elsewhere(self) -> bool:
        """Whether the WSGI app is loaded in other processes, so that this one handles signals meanwhile."""
        return all(pool.settings.workers for pool in self._pools)

    @property
    def _pools(self) -> Collection[Pool]:
        return name_pools(self._application).values()

    def _reload_wsgi(self) -> None:
        """Load changed code of the WSGI app. If it runs in threads, that takes a restart of everything."""
        if self._pools and self._loads_elsewhere:
            forget_templates()  # native handlers may render one that has changed
            self._reload()
        else:
            self._restart()

    def _restart(self) -> None:
        if not self._stop.is_set():
            logger.info("the server restarts")
            self._restarts = True
            self._stop.set()

    def _handle_stop(self, number: signal.Signals) -> None:
        if not self.stop(number.name) and time.monotonic() - self._stop_signalled > SAME_SIGNAL:
            for pool in self._pools:
                pool.kill_silent()
            end_now(1, "second stop signal (%s): ending at once", number.name)

    def stop(self, why: str, status: int = 0) -> bool:
        """Begin to stop, as for a signal, and end with `status`. Returns False if that has begun before."""
        if self._stop.is_set() and not self._restarts:
            return False
        self._restarts = False
        self.status = status
        self._stop_signalled = time.monotonic()
        self._stop_signal = why
        self._stop.set()
        return True

    def _announce(self, address: str) -> None:
        loop = type(asyncio.get_running_loop()).__module__.partition(".")[0]
        said = f"waterspout {__version__} serves {address} on {loop}, process {os.getpid()}: "
        say(said + describe(self._application), mark="")
        if self._ops is not None:
            say(f"figures at {self._ops.describe()} (/-/stats, /-/health)")

    async def _shutdown(self, server: HTTPServer | DrainingServer, timeout: float) -> None:
        """Accept nothing new, let what runs finish, and cut the rest at the deadline."""
        server.stop()  # first of all: who connects while thousands of WebSockets are closed would be reset
        self.ends_by = time.monotonic() + timeout
        with standing_ended(self.ends_by + STANDING_GRACE):
            await shut_down(server, self._application, timeout)


def _say_start(place: str) -> None:
    say(f"waiting for the application's start(); {describe_place(place)}")


def _say_standing() -> None:
    """Called from a thread when start() blocks the event loop, where nothing else can say so."""
    _say_start(find_place(MAIN_THREAD))


def _starts_itself(application: TornadoApplication) -> bool:
    """Whether the application starts more than the WSGI apps: it has a `start()` of its own."""
    return isinstance(application, Application) and type(application).start is not Application.start


async def _start_heard(application: TornadoApplication) -> None:
    """Start it, and keep our loggers enabled: it may configure logging, as an app may while it is loaded."""
    with loggers.kept():
        if isinstance(application, Application):
            await _start_own(application)
        else:
            await start_containers(application)


async def _start_own(application: Application) -> None:
    """Raises ConfigurationError: the application's own class has other methods named `start` or `stop`."""
    named = f"{type(application).__module__}.{type(application).__qualname__}"
    if not takes(application.stop, 1):
        raise ConfigurationError(f"{named}.stop() takes no timeout: write async def stop(self, timeout=None)")
    started: Any = application.start()
    if not isawaitable(started):
        raise ConfigurationError(
            f"{named}.start() is not a coroutine function: write async def start(self), with await "
            "super().start()"
        )
    await started


def _calm_collector() -> bool:
    """Let the garbage collector examine what requests allocate, not everything that was loaded before them.

    With many concurrent requests, their objects exceed its first threshold at every turn of the loop, survive
    into the oldest generation, and cause full collections: these cost a small native route a third of its
    throughput, and worsened its p99. If other thresholds have been set, they stay: False.
    """
    if not hasattr(gc, "freeze"):
        return False  # PyPy has a different collector
    gc.collect()
    gc.freeze()
    if not 0 < gc.get_threshold()[0] <= _DEFAULT_THRESHOLD:  # 0: it is off
        return False
    gc.set_threshold(*GC_THRESHOLDS)
    return True


def describe(application: TornadoApplication) -> str:
    """What serves what, in a few words."""
    if not isinstance(application, Application):
        return f"{type(application).__module__}.{type(application).__name__}"
    count = application.native_rules
    said = [f"{count} native rule{'' if count == 1 else 's'}"]
    for container, path in find_containers(application).items():
        where = "everything else" if container is application.container else path
        said.append(f"{where} to {_describe_app(container)}")
    return ", ".join(said)


def _describe_app(container: Container) -> str:
    main, *others = container.pools.items()
    target = main[1].target
    named = target if isinstance(target, str) else getattr(target, "__name__", "a callable")
    sizes = [_describe_size(main[1].settings)]
    sizes += [f"pool {name} in {_describe_size(pool.settings)}" for name, pool in others]
    return f"{named} in {', '.join(sizes)}"


def _describe_size(settings: PoolSettings) -> str:
    processes = f"{settings.workers} process" + ("es" if settings.workers > 1 else "") + " x "
    return (
        (processes if settings.workers else "") + f"{settings.threads} thread" + "s" * (settings.threads > 1)
    )
