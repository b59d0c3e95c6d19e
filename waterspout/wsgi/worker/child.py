"""A WSGI process, from the inside: lane workers for one app, controlled over a control channel."""

from __future__ import annotations

import atexit
import json
import os
import sys
import threading
import time
import traceback
from typing import Any, Final, NoReturn

from waterspout.exceptions import ConfigurationError, TargetRaised, WaterspoutError
from waterspout.hub.outbox import open_outbox
from waterspout.limits import VIEWS_GRACE
from waterspout.logs import loggers
from waterspout.system.daemon_thread import DaemonThread
from waterspout.system.descriptors import MORE_TASKS
from waterspout.system.plain_socket import open_plain
from waterspout.system.signals import ignore_group_signals
from waterspout.system.surroundings import (
    deepen_threads,
    drop_streams,
    name_process,
    open_streams,
    tell_stacks,
)
from waterspout.wsgi.backlog import BacklogEnd
from waterspout.wsgi.frames import LANE, URLS
from waterspout.wsgi.linking import link
from waterspout.wsgi.naming import Names
from waterspout.wsgi.worker.control import Control
from waterspout.wsgi.worker.loading import WSGIApp, load_app
from waterspout.wsgi.worker.priority import give_way
from waterspout.wsgi.worker.worker import LANE_THREAD, LaneWorker

#: The name of the process, in place of `python`; 15 characters at most, as many as the kernel keeps.
_NAME: Final = "waterspout-wsgi"


def serve_process(control: Control) -> int:
    """Load the app and run a lane worker for each lane that is handed over, until told to stop.

    Returns the exit status.
    """
    native = Names()
    while (order := control.orders.get())[0] == URLS:
        native.unpack(order[1])
    spec = json.loads(order[1])
    _adopt(spec)
    control.flush_at_exit()  # registered first, so called last
    app = _load(control, spec)
    names = link(app, native)
    if names is not None:
        control.say_urls(names.pack())
    give_way(spec["nice"])
    control.say_ready()
    lanes = _open_lanes(control, app, spec)
    control.is_ending = True
    if not _join(lanes, threading.TIMEOUT_MAX if control.is_orphan else VIEWS_GRACE):
        _leave_views()
    return 0


def _join(threads: list[threading.Thread], patience: float) -> bool:
    """Wait until all have ended, for `patience` seconds in total. Returns whether they have."""
    deadline = time.monotonic() + patience
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return not any(thread.is_alive() for thread in threads)


def _leave_views() -> NoReturn:
    """End the process as Python does, except for the last part: under a view that still prints or computes
    in C, that may crash or hang. `multiprocessing` ends its processes in the same way.
    """
    # No public function waits for the non-daemon threads, as Python does first (3.11 to 3.15).
    threading._shutdown()  # type: ignore[attr-defined]  # private, so not declared
    atexit._run_exitfuncs()
    drop_streams()
    os._exit(0)


def _adopt(spec: dict[str, Any]) -> None:
    """Find modules and log as the server does, with the server's `sys.argv`."""
    sys.path[:] = spec["path"]
    sys.argv[:] = spec["argv"]
    loggers.configure(spec["log_level"], time_zone=spec["time_zone"])


def _load(control: Control, spec: dict[str, Any]) -> WSGIApp:
    """The app. If it can't be loaded, tell the server why and end the process."""
    try:
        with loggers.kept():
            return load_app(spec["target"], debug=spec["debug"])
    except (ConfigurationError, TargetRaised) as error:
        if spec["debug"] and isinstance(error, TargetRaised):
            traceback.print_exc()
        control.say_failed(error)
        # At once: a thread that the app started before it failed would keep the process alive forever.
        sys.stderr.flush()
        os._exit(1)


def _open_lanes(control: Control, app: WSGIApp, spec: dict[str, Any]) -> list[threading.Thread]:
    """Serve each lane in a thread until another order (STOP) comes. Returns threads that may still run."""
    threads: list[threading.Thread] = []
    company: set[LaneWorker] = set()
    is_scant = False
    while (order := control.orders.get())[0] == LANE:
        lane = LaneWorker(
            open_plain(order[2][0]),
            app,
            multithread=spec["threads"] > 1,
            multiprocess=spec["multiprocess"],
            backlog=BacklogEnd(*order[2][1:]) if order[2][1:] else None,
            company=company,
        )
        threads = [thread for thread in threads if thread.is_alive()]
        thread = DaemonThread(lane.run, LANE_THREAD)
        try:
            thread.start()
        except RuntimeError as error:
            lane.give_up()
            if not is_scant:
                control.say_scant(len(threads), str(error))
            is_scant = True  # further ones are the server's retries
        else:
            threads.append(thread)
            if is_scant and len(threads) == spec["threads"]:
                control.say_scant(len(threads))
                is_scant = False
    return threads


def main() -> int:
    """Serve; the last argument is the descriptor of the control channel. Returns the exit status."""
    open_streams()  # the server's streams may be closed, and are inherited
    tell_stacks()
    deepen_threads()
    name_process(_NAME)
    ignore_group_signals()
    descriptor = int(sys.argv[-1])
    os.set_inheritable(descriptor, False)
    control = Control(open_plain(descriptor))
    open_outbox(control.outbox)
    try:
        control.start()
    except RuntimeError as error:
        why = f"{error}, not even for the control channel; allow more ({MORE_TASKS})"
        control.say_failed(WaterspoutError(why))
        return 1
    try:
        return serve_process(control)
    except (BrokenPipeError, ConnectionResetError):
        return 1  # the server went away while we were sending
