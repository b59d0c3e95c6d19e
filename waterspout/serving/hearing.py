"""Signals that the event loop does not receive while it is blocked."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from typing import Final

from waterspout.limits import END_SAID, LOOP_STANDS, SAME_SIGNAL
from waterspout.logs.standing import MAIN_THREAD, describe_place, find_place
from waterspout.serving.deadline import end_now
from waterspout.system.plain_socket import make_plain

logger = logging.getLogger("waterspout.server")

_STOPS: Final = (signal.SIGTERM, signal.SIGINT)
#: How many signals are read at a time.
_READ: Final = 64


class Hearing:
    """A thread between Python's own signal handler, in C, and the event loop: it passes signals on, and ends
    the process on a second stop signal if the loop, which should do that, does not. C code that blocks (a
    database client) keeps Python signal handlers from running, too, but not threads.

    `is_heard`: whether the loop has been told to stop.
    """

    def __init__(self, is_heard: Callable[[], bool]) -> None:
        self._is_heard = is_heard
        self._ours: socket.socket | None = None
        self._loops = -1
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Call in the main thread, after each `add_signal_handler` of the running loop, which replaces the
        wakeup descriptor. If no thread or descriptor can be had, the loop receives signals by itself.
        """
        if self._ours is None:
            with contextlib.suppress(OSError, RuntimeError):
                self._start()
        self.go_on()

    def go_on(self) -> None:
        """Call now and then, in the main thread: native code may have added a handler of its own since."""
        if self._ours is not None:
            before = signal.set_wakeup_fd(self._ours.fileno(), warn_on_full_buffer=False)
            if before != self._ours.fileno():
                self._loops = before

    def end(self) -> None:
        """Let the loop receive signals by itself again. Harmless when it never began, and when repeated."""
        ours, self._ours = self._ours, None
        if ours is None or self._thread is None:
            return
        before = signal.set_wakeup_fd(-1)
        # Not ours if the app has added a handler since.
        loops = self._loops if before == ours.fileno() else before
        signal.set_wakeup_fd(loops, warn_on_full_buffer=False)
        with contextlib.suppress(OSError):
            ours.shutdown(socket.SHUT_RDWR)  # a child that the app has forked may hold it, too
        ours.close()
        self._thread.join(END_SAID)

    def _start(self) -> None:
        """Raises OSError, RuntimeError."""
        reading, writing = map(make_plain, socket.socketpair())
        writing.setblocking(False)
        thread = threading.Thread(target=self._hear, args=(reading,), name="waterspout-hearing", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            reading.close()
            writing.close()
            raise
        self._ours, self._thread = writing, thread

    def _hear(self, reading: socket.socket) -> None:
        first = None
        with reading:
            while True:
                try:
                    heard = reading.recv(_READ)
                except TimeoutError:
                    reading.settimeout(None)
                    self._say_if_unheard()
                    continue
                if not heard:
                    return
                with contextlib.suppress(OSError):  # full: the loop has not read it
                    os.write(self._loops, heard)
                if stops := [number for number in heard if number in _STOPS]:
                    now = time.monotonic()
                    if first is None:
                        first = now
                        reading.settimeout(LOOP_STANDS)
                    elif now - first > SAME_SIGNAL:
                        _end(signal.Signals(stops[-1]).name)

    def _say_if_unheard(self) -> None:
        if not self._is_heard():
            place = describe_place(find_place(MAIN_THREAD))
            # Not in this thread: what blocks the loop may be writing a log line that nobody reads.
            with contextlib.suppress(RuntimeError):
                threading.Thread(target=_say_unheard, args=(place,), daemon=True).start()


def _say_unheard(place: str) -> None:
    logger.warning(
        "told to stop, but the event loop is blocked (a second SIGTERM or SIGINT ends it at once); %s", place
    )


def _end(name: str) -> None:
    """End the process, unless the loop does so first."""
    time.sleep(END_SAID)
    place = describe_place(find_place(MAIN_THREAD))
    end_now(1, "second stop signal (%s): ending at once; the event loop is blocked; %s", name, place)
