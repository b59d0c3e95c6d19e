"""Code of others that this thread runs as it is loaded, and that takes long: said, with where it stands."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from waterspout import limits
from waterspout.logs.saying import say
from waterspout.logs.standing import describe_place, find_place


@contextmanager
def said_when_late(name: str) -> Iterator[None]:
    """While `name` is loaded by this thread, in which no timer of the event loop can run: when that has taken
    `LOADING_SAID`, a line says where it stands, and others follow.

    By `say`, not by a logger: the app may have turned those off before it hangs.
    """
    loaded = threading.Event()
    arguments = (name, loaded, threading.get_native_id())
    watcher = threading.Thread(target=_watch, args=arguments, name="waterspout-lateness", daemon=True)
    try:
        watcher.start()
    except RuntimeError:  # no thread can be had: the app may be loaded all the same
        yield
        return
    try:
        yield
    finally:
        loaded.set()
        watcher.join(limits.LATENESS_JOIN)  # else it may be said of a later thing, or held up by who forks


def _watch(name: str, loaded: threading.Event, thread: int) -> None:
    began, pause = time.monotonic(), limits.LOADING_SAID
    while not loaded.wait(pause):
        seconds = time.monotonic() - began
        say(f"{name} has been loading for {seconds:.0f} s; {describe_place(find_place(thread))}")
        pause = limits.LOADING_SAID_AGAIN
