"""Where a thread of this process is (file, line, function), and what keeps the process from ending; for the
log.

Nothing of the event loop here.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Collection
from types import FrameType
from typing import Any, Final

from waterspout.importer import is_foreign, is_installed, is_ours
from waterspout.limits import PLACE_FRAMES, PLACE_TEXT
from waterspout.logs.loggers import escape
from waterspout.system.daemon_thread import DaemonThread

#: In place of a thread's number: the main thread.
MAIN_THREAD: Final = 0
#: In place of a thread's number: whatever of the app keeps the process from ending (`describe_left`).
LEFT: Final = -1
#: Whose functions run event loops.
_LOOPS: Final = ("asyncio.base_events", "asyncio.runners", "tornado.platform.asyncio")
#: Python's own number for it, which gevent replaces.
_MAIN_IDENT: Final = threading.main_thread().ident
#: How many threads a line names, and how much of each name it shows (characters).
_NAMED: Final = 3
_NAME_TEXT: Final = 60


def find_place(thread: int) -> str:
    """`shop/views.py:21 in lock`, for the thread with this native ID: the innermost frame of the app's own
    code; if there is none, that of an installed package; otherwise the innermost of all. "" if there is no
    such thread, or it can't be told.
    """
    try:
        frame = sys._current_frames().get(_find_ident(thread) or 0)
        return "" if frame is None else escape(_name(_find_own(frame)))[:PLACE_TEXT]
    except Exception:
        # An app may have changed `sys.path` or `threading`, or no descriptors are left: the caller must not
        # fail.
        return ""


def is_in_a_loop(thread: int) -> bool:
    """Whether code that this thread loads has started an event loop and is still in it. The loop in which the
    server itself loads that code is not meant.
    """
    frame = sys._current_frames().get(_find_ident(thread) or 0)
    while frame is not None and not is_ours(frame.f_code.co_filename):
        if frame.f_globals.get("__name__") in _LOOPS:
            return True
        frame = frame.f_back
    return False


def find_awaited(waiting: Any) -> str:
    """The same of a coroutine that waits: where in the app's own code, or where at all."""
    frames = _list_awaited(waiting)
    own = [each for each in frames if not is_foreign(each.f_code.co_filename)]
    return escape(_name((own or frames)[-1]))[:PLACE_TEXT] if frames else ""


def is_servers(waiting: Any) -> bool:
    """Whether a coroutine that waits is the server's own, and doesn't wait for the app's code."""
    frames = _list_awaited(waiting)
    return bool(frames) and is_ours(frames[0].f_code.co_filename) and is_nobodys(waiting)


def is_nobodys(waiting: Any) -> bool:
    """Whether none of the app's own code waits there: whose it is can't be told by that."""
    return all(is_foreign(each.f_code.co_filename) for each in _list_awaited(waiting))


def _list_awaited(waiting: Any) -> list[FrameType]:
    """Its frames, the outermost first."""
    frames: list[FrameType] = []
    while (frame := getattr(waiting, "cr_frame", None)) is not None and len(frames) < PLACE_FRAMES:
        frames.append(frame)
        waiting = waiting.cr_await
    return frames


def describe_place(place: str) -> str:
    """For a line about a process that was asked; `place`: its answer, "" if there was none."""
    if place:
        return f"currently at {place}"
    return "it can't say where it is: perhaps C code holds its interpreter's lock"


def _find_ident(thread: int) -> int | None:
    if thread in (MAIN_THREAD, threading.main_thread().native_id):
        return _MAIN_IDENT
    return next((each.ident for each in threading.enumerate() if each.native_id == thread), None)


def _find_own(innermost: FrameType) -> FrameType:
    frame: FrameType | None = innermost
    library = None
    for _ in range(PLACE_FRAMES):
        if frame is None:
            break
        filename = frame.f_code.co_filename
        if not is_foreign(filename):
            return frame
        if library is None and is_installed(filename):
            library = frame
        frame = frame.f_back
    return library or innermost


def _name(frame: FrameType) -> str:
    return f"{_shorten(frame.f_code.co_filename)}:{frame.f_lineno} in {frame.f_code.co_name}"


def _shorten(filename: str) -> str:
    """The path relative to the longest entry of `sys.path` that it is below."""
    homes = [
        home for home in sys.path if isinstance(home, str) and home and filename.startswith(home + os.sep)
    ]
    return filename[len(max(homes, key=len)) + 1 :] if homes else filename


def find_threads(before: Collection[threading.Thread] = ()) -> list[threading.Thread]:
    """The threads that Python waits for when it exits. `before`: some that are not the app's."""
    main = threading.main_thread()
    return [
        thread
        for thread in threading.enumerate()
        if not (thread.daemon or thread is main or thread in before or isinstance(thread, DaemonThread))
    ]


def find_children() -> list[Any]:
    """Running processes of `multiprocessing`, if that has been used."""
    module = sys.modules.get("multiprocessing.process")
    try:
        return [] if module is None else list(module.active_children())
    except Exception:  # an app may have changed that module: the caller must not fail
        return []


def describe_left(threads: Collection[threading.Thread]) -> str:
    """`threads`: as `find_threads` returned them."""
    if running := [thread for thread in threads if thread.is_alive()] or _find_joined():
        return f"threads started by the app are still running ({_name_threads(running)})"
    if children := [str(child.pid) for child in find_children() if not child.daemon]:
        return f"processes started by the app are still running ({', '.join(children)}), and are not killed"
    place = find_place(MAIN_THREAD)
    whose = "the server's own exit functions" if _is_own_exit() else "exit functions registered by the app"
    return f"{whose} are still running" + (f", at {place}" if place else "")


def _find_joined() -> list[threading.Thread]:
    """The thread of an executor for which Python itself makes the main one wait. It may be a daemon, as all
    threads are that a daemon starts: those in which APScheduler's BackgroundScheduler runs its jobs.
    """
    joined = None
    for frame in _list_main():
        filename = frame.f_code.co_filename
        if not is_foreign(filename) or is_installed(filename) or is_ours(filename):
            return []  # whose it is says where it stands
        if frame.f_code is threading.Thread.join.__code__:
            joined = frame.f_locals.get("self")
    return [] if joined is None else [joined]


def _is_own_exit() -> bool:
    """A function of ours for the exit is what Python has called: it waits for WSGI processes."""
    frames = _list_main()
    return bool(frames) and is_ours(frames[-1].f_code.co_filename)


def _list_main() -> list[FrameType]:
    """The frames of the main thread, the outermost last."""
    frames: list[FrameType] = []
    frame = sys._current_frames().get(_MAIN_IDENT or 0)
    while frame is not None:
        frames.append(frame)
        frame = frame.f_back
    return frames


def _name_threads(threads: list[threading.Thread]) -> str:
    more = len(threads) - _NAMED
    return "; ".join([*map(_name_thread, threads[:_NAMED]), *([f"{more} more"] if more > 0 else [])])


def _name_thread(thread: threading.Thread) -> str:
    place = find_place(thread.native_id) if thread.native_id else ""
    return escape(thread.name)[:_NAME_TEXT] + (f", at {place}" if place else "")
