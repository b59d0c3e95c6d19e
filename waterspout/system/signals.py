"""Signals of a serving process, and what the children that an app forks from it must not keep. Leaf."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterable
from typing import Final

#: Signals that terminals and service managers send to a whole process group.
GROUP_SIGNALS: Final = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)

_masks = threading.local()
_sparing = False
_forks = 0


def fork_generation() -> int:
    """A number that differs in a forked child. For hot paths: `os.getpid` is a system call."""
    return _forks


def _count_fork() -> None:
    global _forks
    _forks += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_count_fork)


def spare_forked_children() -> None:
    """Give children that the app forks the default handlers, without a moment in which they have ours.

    Otherwise `Process.terminate()` right after `Process.start()` would be swallowed by a handler of ours or,
    through the inherited wake-up descriptor of an event loop, stop the server instead of the child.
    May be called again.
    """
    global _sparing
    if not _sparing:
        _sparing = True
        os.register_at_fork(before=_block, after_in_parent=_unblock, after_in_child=_restore_defaults)


def _block() -> None:
    _masks.before = signal.pthread_sigmask(signal.SIG_BLOCK, GROUP_SIGNALS)


def _unblock() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _masks.before)


def _restore_defaults() -> None:
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    _unblock()


def keep_from_children(descriptors: Callable[[], Iterable[int]]) -> None:
    """Take these descriptors from the children that the app forks: a child that outlives the server would
    keep the port bound, and clients' connections open.

    They become /dev/null. If they were closed, a new file of the child's could get a number that the
    server's own objects, copied by the fork, may still close.
    """

    def replace() -> None:
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in descriptors():
            if descriptor >= 0:
                os.dup2(null, descriptor, inheritable=False)
        os.close(null)

    os.register_at_fork(after_in_child=replace)


def ignore_group_signals() -> None:
    """For a WSGI process, which only obeys its control channel.

    With a handler, not SIG_IGN: that is inherited through exec, and the app's own subprocesses could not be
    terminated.
    """
    for number in GROUP_SIGNALS:
        signal.signal(number, lambda *_: None)
    spare_forked_children()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, GROUP_SIGNALS)
