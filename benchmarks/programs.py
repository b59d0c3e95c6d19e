"""Programs that compute beside a server, and have nothing to do with it."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import sys

#: Each ends by itself, should nobody end it (seconds of its own CPU time).
LONGEST = 120
COMPUTE = "while True: sum(number * number for number in range(500))"


class Programs:
    """A context: so many compute when it is entered, and are gone when it is left.

    They take what nobody else wants of a core (SCHED_IDLE of sched(7)), as WSGI processes of Waterspout's do.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self.running: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Programs:
        with contextlib.ExitStack() as stack:
            stack.callback(self.stop)
            for _ in range(self.count):
                self.running.append(subprocess.Popen([sys.executable, "-c", COMPUTE], preexec_fn=give_way))
            stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        for program in self.running:
            program.kill()
            program.wait()
        self.running.clear()


def give_way() -> None:
    """Between fork and exec."""
    resource.setrlimit(resource.RLIMIT_CPU, (LONGEST, LONGEST))
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
