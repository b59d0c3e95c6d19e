"""The end of the server's process, when nothing is left to serve."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Collection

from waterspout.saying import say


def end_by(deadline: float, before: Collection[threading.Thread]) -> None:
    """Let the threads that the app has started here finish, until `deadline` (of `time.monotonic()`): then
    the process ends with status 0, whatever they do. `before`: threads that are none of the app's.

    Python itself waits for them, without an end.
    """
    if any(not thread.daemon for thread in threading.enumerate() if thread not in before):
        threading.Thread(target=_end, args=(deadline,), daemon=True).start()


def _end(deadline: float) -> None:
    time.sleep(max(0.0, deadline - time.monotonic()))
    say("threads that the app has started still run: the graceful timeout is over")
    os._exit(0)
