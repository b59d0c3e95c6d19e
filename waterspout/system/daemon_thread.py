"""A daemon thread that makes none of those that it starts. Leaf."""

from __future__ import annotations

import threading
from collections.abc import Callable


class DaemonThread(threading.Thread):
    """A daemon, so that a view that never returns can't keep the process alive; the threads that a view
    starts are none, unless it says so. By Python's rule they would be what the thread that starts them is: a
    mail that a view sends in a thread of its own would be lost whenever the process ends.
    """

    def __init__(self, run: Callable[[], None], name: str) -> None:
        super().__init__(name=name, target=run, daemon=True)
        self._serves = False

    def run(self) -> None:
        self._serves = True
        super().run()

    @property
    def daemon(self) -> bool:
        """What a new thread takes over from the one that makes it; before that, what this one is itself."""
        return not self._serves

    @daemon.setter
    def daemon(self, value: bool) -> None:
        raise RuntimeError("cannot set daemon status of active thread")  # Python's own words
