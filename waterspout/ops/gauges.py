"""What can be read from a running server, as one JSON value. Times in seconds, sizes in bytes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from copy import copy
from typing import Any

from waterspout import __version__
from waterspout.ops.lag import LoopLag
from waterspout.ops.natives import NativeRequest, find_natives, tell_natives
from waterspout.system.processes import read_rss


class Gauges:
    """Reads the figures of pools, by name, and which of them can't run anything now; the event loop's lag;
    and what native handlers have answered, once an application counts it in `native`, and are running.
    """

    def __init__(
        self,
        read_pools: Callable[[], dict[str, Any]] = dict,
        find_down: Callable[[], Iterable[str]] = tuple,
    ) -> None:
        self._read_pools = read_pools
        self._find_down = find_down
        self._made_at = time.monotonic()
        self._native: list[int] | None = None
        self.lag = LoopLag()

    def of_pools(
        self, read_pools: Callable[[], dict[str, Any]], find_down: Callable[[], Iterable[str]]
    ) -> Gauges:
        """The same figures, but of these pools."""
        other = copy(self)
        other._read_pools, other._find_down = read_pools, find_down
        return other

    @property
    def native(self) -> list[int]:
        """Replies of native handlers by the first digit of their status; 0: the client left before that.
        Every reply is counted here, so it is a plain list. Applications that share a container share it.
        """
        if self._native is None:
            self._native = [0] * 6
        return self._native

    def read(self, natives: Iterable[NativeRequest] | None = None) -> dict[str, Any]:
        """Everything. Only on the event loop. `natives`: the running requests of native handlers, where the
        caller has looked for them.
        """
        return {
            "server": {
                "version": __version__,
                "pid": os.getpid(),
                "age": time.monotonic() - self._made_at,
                "rss": read_rss(os.getpid()),
            },
            "event_loop": {"lag": self.lag.tell()},
            "native": None if self._native is None else self._read_native(self._native, natives),
            "pools": self._read_pools(),
        }

    @staticmethod
    def _read_native(counts: list[int], natives: Iterable[NativeRequest] | None) -> dict[str, Any]:
        return {
            "answers": read_answers(counts),
            **tell_natives(find_natives() if natives is None else natives),
        }

    def find_down(self) -> list[str]:
        """The names of pools that can't run anything now."""
        return list(self._find_down())


def read_answers(counts: list[int]) -> dict[str, int]:
    """Replies of native handlers, by class of status."""
    return {f"{digit}xx": count for digit, count in enumerate(counts) if digit}
