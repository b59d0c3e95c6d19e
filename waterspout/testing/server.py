"""A real server for a test, in a thread of the test's own process."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Final

from tornado.web import Application as TornadoApplication

from waterspout.application import Application
from waterspout.http import HTTPServer
from waterspout.limits import EXIT_GRACE
from waterspout.message.record import log_refusal
from waterspout.routing.containers import start_containers
from waterspout.serving.shutdown import CUT_TIME, shut_down
from waterspout.system.listeners import listen_tcp
from waterspout.targets import build_application

#: Time for everything else that a stop takes (seconds). Needing longer means that the event loop is blocked.
_SPARE: Final = 5.0


@contextlib.contextmanager
def serving(app: TornadoApplication | str, *, timeout: float = 5.0) -> Iterator[str]:
    """Serve `app`, an application or a target like "yourpackage.main:app", on a free port of 127.0.0.1, in a
    thread with its own event loop; yields its URL, like "http://127.0.0.1:49152".

    At the end, requests that still run get `timeout` seconds; then everything is stopped. Raises whatever
    keeps it from starting: TypeError, TargetNotFound, TargetRaised, PoolError (it is started elsewhere);
    TimeoutError, if it can't be stopped because a handler blocks its event loop.
    """
    application = build_application(app, None, None) if isinstance(app, str) else app
    if not isinstance(application, TornadoApplication):
        raise TypeError(
            f"{application!r} is no application: write waterspout.Application(native=routes, wsgi=app)"
        )
    live = _Live(application, timeout)
    try:
        yield live.start()
    finally:
        live.stop()


class _Loop(asyncio.SelectorEventLoop):
    """Its timers go on while a test has stopped the clock (freezegun stops `time.monotonic`, too)."""

    def time(self, _monotonic: Callable[[], float] = time.monotonic) -> float:
        return _monotonic()


class _Live:
    """One server in its thread."""

    def __init__(self, application: TornadoApplication, timeout: float) -> None:
        self._application = application
        self._timeout = timeout
        self._url: Future[str] = Future()
        self._running: Future[tuple[asyncio.AbstractEventLoop, asyncio.Task[None]]] = Future()
        self._thread = threading.Thread(target=self._run, name="waterspout-serving", daemon=True)
        self._failure: BaseException | None = None

    def start(self) -> str:
        """Start it and return its URL. Raises whatever keeps it from starting."""
        self._thread.start()
        return self._url.result()

    def stop(self) -> None:
        """Raises TimeoutError; and whatever failed while it stopped."""
        if self._thread.ident is None:
            return  # its thread could not be started
        if self._running.exception() is not None:
            return  # no event loop could be made, as `start` has said
        loop, task = self._running.result()
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(task.cancel)
        self._thread.join(self._timeout + 3 * CUT_TIME + EXIT_GRACE + _SPARE)
        if self._thread.is_alive():
            raise TimeoutError("the server does not stop: something blocks its event loop")
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=_Loop) as runner:
                runner.run(self._serve())
        except asyncio.CancelledError:
            pass  # this is how it is stopped
        except BaseException as error:
            if not self._running.done():
                self._running.set_exception(error)
            if self._url.done():
                self._failure = error
            else:
                self._url.set_exception(error)

    async def _serve(self) -> None:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        self._running.set_result((loop, task))
        application = self._application
        server = HTTPServer(application)
        server.on_refused = log_refusal
        with listen_tcp("127.0.0.1", 0) as listeners:
            if isinstance(application, Application):
                await application.start()
            else:
                await start_containers(application)
            try:
                server.add_sockets(listeners.sockets)
                self._url.set_result(f"http://127.0.0.1:{listeners.sockets[0].getsockname()[1]}")
                await loop.create_future()  # until it is cancelled
            finally:
                await shut_down(server, application, self._timeout, loop)  # the test's are on another
