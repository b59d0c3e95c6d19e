"""Pings at an interval, and the end of a connection whose client does not answer them."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from typing import Protocol

from tornado.log import gen_log


class Pinged(Protocol):
    """What is needed of a connection here."""

    @property
    def is_behind(self) -> bool:
        """Some received data has not been looked at yet: it may contain a pong."""

    def write_ping(self, data: bytes) -> None: ...

    def close(self, code: int | None = None, reason: str | None = None) -> None: ...


class KeepAlive:
    """Pings `connection` every `interval` seconds, and closes it when a pong takes longer than `timeout`.

    One timer, from the start until `stop`. `timeout`: None means the interval, 0 means forever.
    """

    __slots__ = ("_answered", "_connection", "_interval", "_timeout", "_timer")

    def __init__(self, connection: Pinged, interval: float, timeout: float | None) -> None:
        self._connection = connection
        self._interval = interval
        self._timeout = bounded_timeout(timeout, interval)
        self._answered = True
        self._wait(interval, self._ping)

    def on_pong(self) -> None:
        """The client has answered."""
        self._answered = True

    def stop(self) -> None:
        self._timer.cancel()

    def _wait(self, delay: float, callback: Callable[[], None]) -> None:
        self._timer = asyncio.get_running_loop().call_later(delay, callback)

    def _ping(self) -> None:
        self._answered = False
        if self._timeout > 0:
            self._wait(self._timeout, self._check)
        else:
            self._wait(self._interval, self._ping)
        self._connection.write_ping(b"")

    def _check(self) -> None:
        if not self._answered and not self._connection.is_behind:
            self._connection.close(reason="ping timed out")
        elif self._interval > self._timeout:
            self._wait(self._interval - self._timeout, self._ping)
        else:
            self._ping()


def bounded_timeout(timeout: float | None, interval: float) -> float:
    """How long a pong may take: the interval, unless `timeout` is shorter."""
    if timeout is None:
        return interval
    if timeout > interval:
        _warn(timeout, interval)
        return interval
    return timeout


@functools.lru_cache
def _warn(timeout: float, interval: float) -> None:
    """Warn once, not for each connection. In Tornado's words."""
    gen_log.warning(
        "The websocket_ping_timeout (%s) cannot be longer than the websocket_ping_interval (%s).\n"
        "Setting websocket_ping_timeout=%s",
        timeout,
        interval,
        interval,
    )
