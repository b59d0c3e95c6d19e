"""An app's code that takes long while this thread loads it: logged, with where it is."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from waterspout import limits
from waterspout.logs.saying import say
from waterspout.logs.standing import describe_place, find_place, is_in_a_loop

#: What a program does that was to be started by itself.
_RUNS_A_LOOP: Final = (
    ", in an event loop that it runs itself: if that is the one in which it serves, start it under "
    '`if __name__ == "__main__":` only, and name the application, or a function that returns it '
    "(docs/recipe.md)"
)


@contextmanager
def said_when_late(name: str) -> Iterator[None]:
    """While this thread loads `name`, and no timer of the event loop can run: when that has taken
    `LOADING_SAID`, a line says where it is, and others follow.

    With `say`, not a logger: the app may have turned those off before it hangs.
    """
    loaded = threading.Event()
    arguments = (name, loaded, threading.get_native_id())
    watcher = threading.Thread(target=_watch, args=arguments, name="waterspout-lateness", daemon=True)
    try:
        watcher.start()
    except RuntimeError:  # no thread can be started: the app may still load
        yield
        return
    try:
        yield
    finally:
        loaded.set()
        watcher.join(limits.LATENESS_JOIN)  # else it may report what is loaded next, or be caught by a fork


def _watch(name: str, loaded: threading.Event, thread: int) -> None:
    began, pause = time.monotonic(), limits.LOADING_SAID
    while not loaded.wait(pause):
        seconds = time.monotonic() - began
        where = describe_place(find_place(thread))
        why = _RUNS_A_LOOP if is_in_a_loop(thread) else ""
        say(f"{name} has been loading for {seconds:.0f} s; {where}{why}")
        pause = limits.LOADING_SAID_AGAIN
