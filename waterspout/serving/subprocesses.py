"""Tornado's `Subprocess` on uvloop. Leaf."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, cast

from tornado.ioloop import IOLoop
from tornado.process import Subprocess


def hear_exits() -> None:
    """Let `Subprocess.set_exit_callback` and `wait_for_exit` hear of an exit by a pidfd, where there are such
    (Linux): theirs is a handler for SIGCHLD, which uvloop refuses.
    """
    if hasattr(os, "pidfd_open"):
        theirs = cast(Any, Subprocess)
        theirs.initialize = classmethod(lambda _: None)
        theirs.set_exit_callback = _set_exit_callback


def _set_exit_callback(process: Subprocess, callback: Callable[[int], None]) -> None:
    """Call `callback` with its exit status, negative for a signal, in the event loop that started it."""
    loop: IOLoop = process.io_loop

    def end() -> None:
        process.returncode = process.proc.wait()  # it has ended
        callback(process.returncode)

    def on_exit(descriptor: int, _events: int) -> None:
        loop.remove_handler(descriptor)
        os.close(descriptor)
        end()

    if process.proc.poll() is None:
        loop.add_handler(os.pidfd_open(process.pid), on_exit, IOLoop.READ)
    else:
        loop.add_callback(end)
