"""Tornado's `Subprocess` on uvloop. Leaf."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, cast

from tornado.process import Subprocess


def hear_exits() -> None:
    """Let `Subprocess.set_exit_callback` and `wait_for_exit` hear of an exit by a thread that waits for it:
    theirs is a handler for SIGCHLD, which uvloop refuses.
    """
    theirs = cast(Any, Subprocess)
    theirs.initialize = classmethod(lambda _: None)
    theirs.set_exit_callback = _set_exit_callback


def _set_exit_callback(process: Subprocess, callback: Callable[[int], None]) -> None:
    """Call `callback` with its exit status, negative for a signal, in the event loop that started it."""

    def wait() -> None:
        process.io_loop.add_callback(end, process.proc.wait())

    def end(status: int) -> None:
        process.returncode = status
        callback(status)

    threading.Thread(target=wait, name="waterspout-subprocess", daemon=True).start()
