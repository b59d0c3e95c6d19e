"""Views that hang, grow, or hold the interpreter's lock."""

import ctypes
import os
import threading
import time

from tests.apps.table import TEXT, Table
from tests.apps.witness import note, parameter, wait_for_gate
from tests.apps.working import app as working

app = Table()
app.views |= working.views
_kept = []


@app.view
def locking(environ, start_response):
    """Hold the interpreter's lock in C code: PyDLL, unlike CDLL, does not give it back."""
    note("ran", environ)
    ctypes.PyDLL(None).sleep(int(parameter(environ, "seconds")))
    start_response("200 OK", TEXT)
    return [b"never heard"]


@app.view
def growing(environ, start_response):
    """Keep `mib` MiB more."""
    _kept.append(os.urandom(4096) * (256 * int(parameter(environ, "mib"))))
    start_response("200 OK", TEXT)
    return [b"%d" % os.getpid()]


@app.view
def niceness(environ, start_response):
    """The scheduling policy and the niceness of each thread of this process."""
    each = []
    for thread in os.listdir("/proc/self/task"):
        with open(f"/proc/self/task/{thread}/stat") as file:  # musl has no sched_getscheduler
            policy = int(file.read().rpartition(")")[2].split()[38])
        each.append((policy, os.getpriority(os.PRIO_PROCESS, int(thread))))
    start_response("200 OK", TEXT)
    return [repr(sorted(each)).encode()]


@app.view
def reading(environ, start_response):
    """Read the body to its end, then answer how long it was."""
    note("ran", environ)
    length = len(environ["wsgi.input"].read())
    start_response("200 OK", TEXT)
    return [b"%d" % length]


@app.view
def large(environ, start_response):
    """A reply larger than what all buffers on its way hold."""
    note("ran", environ)
    start_response("200 OK", TEXT)
    for _ in range(int(parameter(environ, "mib"))):
        yield bytes(1 << 20)


@app.view
def trickling(environ, start_response):
    """Sends all the time, but takes long."""
    start_response("200 OK", TEXT)
    for _ in range(8):
        time.sleep(0.25)
        yield b"x"


@app.view
def lane_threads(environ, start_response):
    count = sum(thread.name.startswith("waterspout-lane-") for thread in threading.enumerate())
    start_response("200 OK", TEXT)
    return [b"%d" % count]


@app.view
def gated_close(environ, start_response):
    """The reply is whole; its close() waits for the gate."""
    note("ran", environ)

    class Body(list):
        def close(self):
            wait_for_gate(environ)

    start_response("200 OK", [*TEXT, ("Content-Length", "5")])
    return Body([b"whole"])
