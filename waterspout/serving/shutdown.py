"""Ending what a server runs while its event loop still runs: for `waterspout serve`, and for tests."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Final

from tornado.web import Application as TornadoApplication

from waterspout.application import Application
from waterspout.http import HTTPServer
from waterspout.hub.local import hub
from waterspout.limits import DRAIN_IDLE, STOP_GRACE
from waterspout.logs.standing import describe_place, find_awaited
from waterspout.ops.natives import name_native
from waterspout.routing.containers import name_pools, stop_containers
from waterspout.serving.tornado_server import DrainingServer
from waterspout.websocket.protocol import WebSocketProtocol

logger = logging.getLogger("waterspout.server")

#: How long cancelled handlers, connections that are cut, and WebSockets whose clients have received
#: everything get (seconds).
CUT_TIME: Final = 2.0
#: A timer may fire this much too early, and clocks are read in steps (seconds).
_EARLY: Final = 0.05
#: At most this many of the handlers that go on all the same are named.
_NAMED: Final = 5


async def shut_down(
    server: HTTPServer | DrainingServer,
    application: TornadoApplication,
    timeout: float,
    subscribers_on: asyncio.AbstractEventLoop | None = None,
) -> None:
    """Accept nothing new, let what runs finish, and cut the rest after `timeout` seconds.

    `subscribers_on`: end the subscriptions on this event loop; None: all of the process.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout

    def end_streams() -> None:
        if isinstance(application, Application):
            application.close_sockets()
        hub.end_subscriptions(subscribers_on)

    async def end_later_streams() -> None:
        """End streams that idle connections or running requests open later: else they last while we wait."""
        while True:
            await asyncio.sleep(2 * DRAIN_IDLE)
            end_streams()

    end_streams()
    for pool in name_pools(application).values():
        pool.wind_up()
    ending = loop.create_task(end_later_streams())
    try:
        await server.drain(timeout)
    finally:
        ending.cancel()
    await _cut_natives(server, application, deadline)
    end_streams()
    if isinstance(application, Application):
        await _wait_for_goodbyes(application, deadline)
        await _end_sockets(application)
        await _stop(application, max(0.0, deadline - loop.time()))
    else:
        await stop_containers(application, max(0.0, deadline - loop.time()))
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(server.close_all_connections(), CUT_TIME)


async def _stop(application: Application, timeout: float) -> None:
    """Stop it, within a limit: its own `stop()` may wait for a queue, or a broker that does not answer."""
    stopping = asyncio.ensure_future(application.stop(timeout))
    try:
        await asyncio.wait((stopping,), timeout=timeout + STOP_GRACE)
        if stopping.done():
            stopping.result()
            return
        logger.warning(
            "the application's stop() is cancelled: the graceful timeout is over; %s",
            describe_place(find_awaited(stopping.get_coro())),
        )
    finally:
        stopping.cancel()
    await asyncio.wait((stopping,), timeout=CUT_TIME)


async def _cut_natives(
    server: HTTPServer | DrainingServer, application: TornadoApplication, deadline: float
) -> None:
    """Cut what native handlers have not finished: it is answered 503, or cut off midway."""
    running = server.running_tasks()
    if isinstance(application, Application):  # functions of rules have no task
        is_over = asyncio.get_running_loop().time() > deadline - _EARLY
        application.is_cutting_short = bool(running) or is_over
    if not running:
        return
    requests = "1 native request is" if len(running) == 1 else f"{len(running)} native requests are"
    logger.warning("%s cut off: the graceful timeout is over", requests)
    for task in running:
        task.cancel()
    _, left = await asyncio.wait(running, timeout=CUT_TIME)
    for task in list(left)[:_NAMED]:
        if isinstance(task, asyncio.Task):
            place = describe_place(find_awaited(task.get_coro()))
            logger.warning("%s is still running after being cancelled; %s", name_native(task), place)


async def _wait_for_goodbyes(application: Application, deadline: float) -> None:
    """Wait for closing WebSockets. A client that has received everything answers soon, if it is alive; one
    that is still reading has CLOSE_TIMEOUT, as always. A handler may finish what it does with a message.
    """
    loop = asyncio.get_running_loop()
    soon = min(deadline, loop.time() + CUT_TIME)
    while closing := application.closing_sockets:
        now = loop.time()
        if now >= deadline or (now >= soon and not any(map(_is_wanted, closing))):
            break
        await asyncio.sleep(0.02)


def _is_wanted(protocol: WebSocketProtocol) -> bool:
    """Whether its client still takes what was sent, or waits for what its handler does with a message."""
    return protocol.unsent > 0 or (protocol.is_handling and not protocol.client_has_left)


async def _end_sockets(application: Application) -> None:
    """Cut WebSockets whose clients have not answered, while the application is still there: their handlers'
    `on_close` may need it.
    """
    handling = [protocol for protocol in application.closing_sockets if protocol.is_handling]
    if wanted := sum(not protocol.client_has_left for protocol in handling):
        messages = "1 WebSocket message is" if wanted == 1 else f"{wanted} WebSocket messages are"
        logger.warning("%s cut off: the graceful timeout is over", messages)
    for protocol in handling:
        protocol.cut()
    for protocol in application.closing_sockets:
        protocol.on_connection_close()
    deadline = asyncio.get_running_loop().time() + CUT_TIME
    while application.closing_sockets and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(0.005)
