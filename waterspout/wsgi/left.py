"""What of the app's keeps a process from its end, for a line of the log. Nothing of the event loop here."""

from __future__ import annotations

import sys
import threading
from collections.abc import Collection
from typing import Any, Final

from waterspout.wsgi.lane_thread import LaneThread
from waterspout.wsgi.standing import MAIN_THREAD, find_place

#: Stands for all of that, where else a thread is asked for.
LEFT: Final = -1


def find_threads(before: Collection[threading.Thread] = ()) -> list[threading.Thread]:
    """Those that Python waits for at the end. `before`: some that are none of the app's."""
    main = threading.main_thread()
    return [
        thread
        for thread in threading.enumerate()
        if not (thread.daemon or thread is main or thread in before or isinstance(thread, LaneThread))
    ]


def find_children() -> list[Any]:
    """Processes of `multiprocessing` that run, if anybody has used that."""
    module = sys.modules.get("multiprocessing.process")
    try:
        return [] if module is None else list(module.active_children())
    except Exception:  # what an app has made of that module: who asks must live
        return []


def describe_left(threads: Collection[threading.Thread]) -> str:
    """`threads`: as `find_threads` found them."""
    if any(thread.is_alive() for thread in threads):
        return "threads that the app has started still run"
    if children := [str(child.pid) for child in find_children() if not child.daemon]:
        return f"processes that the app has started still run, and are left alone ({', '.join(children)})"
    place = find_place(MAIN_THREAD)
    return "what the app has registered for the exit still runs" + (f", at {place}" if place else "")
