"""A daemon thread that doesn't make daemons of the threads it starts. Leaf."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import count
from typing import Final

_numbers: Final = count(1)


class DaemonThread(threading.Thread):
    """A daemon, so that a view that never returns can't keep the process alive; threads that a view starts
    are not, unless it says so. By Python's rule they would inherit this from the thread that starts them: a
    mail that a view sends in a thread of its own would be lost whenever the process ends.

    A number is added to `name`: apps keep things by it, such as a connection for each thread.
    """

    def __init__(self, run: Callable[[], None], name: str) -> None:
        super().__init__(name=f"{name}-{next(_numbers)}", target=run, daemon=True)
        self._serves = False

    def run(self) -> None:
        self._serves = True
        super().run()

    @property
    def daemon(self) -> bool:
        """What a new thread inherits from the one that creates it; before `run`, this thread's own status."""
        return not self._serves

    @daemon.setter
    def daemon(self, value: bool) -> None:
        raise RuntimeError("cannot set daemon status of active thread")  # Python's own words
