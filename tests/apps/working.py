"""Requests that last, to fill lanes, be killed or drained under; and requests that start processes."""

import ctypes
import json
import multiprocessing
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time

from tests.apps.table import TEXT, Table
from tests.apps.witness import note, parameter, wait_for_gate

app = Table()


def answer(start_response, text, status="200 OK"):
    start_response(status, [*TEXT, ("Content-Length", str(len(text)))])
    return [text.encode()]


@app.view
def quick(environ, start_response):
    note("ran", environ)
    return answer(start_response, f"{os.getpid()}")


@app.view
def gated(environ, start_response):
    note("ran", environ)
    wait_for_gate(environ)
    return answer(start_response, f"done {parameter(environ, 'id')}")


@app.view
def asking(environ, start_response):
    """Asks its own server, on a connection of its own, and passes the answer on."""
    address = (environ["SERVER_NAME"], int(environ["SERVER_PORT"]))
    with socket.create_connection(address, timeout=20) as sock:
        sock.sendall(b"GET /quick HTTP/1.1\r\nHost: itself\r\nConnection: close\r\n\r\n")
        reply = b"".join(iter(lambda: sock.recv(65536), b""))
    return answer(start_response, reply.partition(b"\r\n\r\n")[2].decode())


@app.view
def gated_stream(environ, start_response):
    """Half of the reply is sent when the test acts."""
    note("ran", environ)
    start_response("200 OK", TEXT)
    yield b"first;"
    wait_for_gate(environ)
    yield b"second"


@app.view
def stuck(environ, start_response):
    """Runs longer than any test waits, and reacts to nothing."""
    note("ran", environ)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        time.sleep(0.2)
    return answer(start_response, "never")


@app.view
def forking_to_exit(environ, start_response):
    """Children that end as programs do, and one that fails."""
    statuses = []
    for ends in (lambda: sys.exit(0), lambda: sys.exit(7), lambda: sys.exit("no more"), lambda: 1 / 0):
        child = os.fork()
        if child == 0:
            ends()
        statuses.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    return answer(start_response, json.dumps(statuses))


@app.view
def forking_to_go_on(environ, start_response):
    """A child that returns from the view, too, as if it were its parent."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
    return answer(start_response, "gone on")


@app.view
def detaching(environ, start_response):
    """Takes the body's stream apart."""
    environ["wsgi.input"].read(1)
    environ["wsgi.input"].detach()
    return answer(start_response, "detached")


@app.view
def forking(environ, start_response):
    """Leaves a child behind that holds a copy of every descriptor, the lanes' too."""
    child = os.fork()
    if child == 0:
        try:
            time.sleep(60)
        finally:
            os._exit(0)
    note("forked", environ, child=child)
    return answer(start_response, f"{child}")


@app.view
def exiting(environ, start_response):
    note("ran", environ)
    os._exit(3)


@app.view
def crashing(environ, start_response):
    note("ran", environ)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.string_at(0)


def ended_with(sent, child):
    child.send_signal(sent)
    try:
        return child.wait(5)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
        return "deaf"


@app.view
def popen(environ, start_response):
    """A child must not inherit that its parent ignores or blocks signals."""
    name = parameter(environ, "signal")
    with subprocess.Popen(["sleep", "30"]) as child:
        return answer(start_response, f"{ended_with(getattr(signal, name), child)}")


@app.view
def popen_mask(environ, start_response):
    """The child's own view of its ignored and blocked signals."""
    code = (
        "import signal as s;"
        "names = ('SIGINT', 'SIGTERM', 'SIGHUP', 'SIGCHLD');"
        "ignored = [name for name in names if s.getsignal(getattr(s, name)) == s.SIG_IGN];"
        "print(ignored, sorted(s.pthread_sigmask(s.SIG_BLOCK, [])))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=True
    )
    return answer(start_response, done.stdout.strip())


@app.view
def multiprocess(environ, start_response):
    """A forked Python child keeps handlers: one that swallows SIGTERM makes it deaf to terminate()."""
    context = multiprocessing.get_context("fork")
    child = context.Process(target=time.sleep, args=(30,), daemon=True)
    child.start()
    child.terminate()
    child.join(5)
    code = child.exitcode
    if code is None:
        child.kill()
        child.join()
    return answer(start_response, f"{code}")


@app.view
def pooled(environ, start_response):
    """The usual pool of forked processes, as apps use it for heavy work."""
    with multiprocessing.get_context("fork").Pool(2) as pool:
        numbers = pool.map(abs, [-1, -2, -3])
    return answer(start_response, f"{numbers}")


@app.view
def system(environ, start_response):
    """os.system waits for its child: nobody else may reap it."""
    codes = [os.waitstatus_to_exitcode(os.system("exit 7")) for _ in range(3)]
    return answer(start_response, f"{codes}")


@app.view
def threads(environ, start_response):
    return answer(start_response, f"{threading.active_count()}")


@app.view
def descriptors(environ, start_response):
    return answer(start_response, f"{len(os.listdir('/proc/self/fd'))}")
