"""What apps do to the process that they run in, as they are loaded or in a view."""

import atexit
import logging.config
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from flask import Flask, Response, request
from werkzeug.wrappers import Request as WerkzeugRequest

from tests.apps.witness import note

flask_app = Flask(__name__)
executor = ThreadPoolExecutor(1)
both = threading.Barrier(2)


class WriteOnly:
    """What some apps put in place of stdout, to have it in their log."""

    def write(self, text):
        return len(text)


def load():
    """HABIT in the environment says what the app does while it is loaded."""
    habit = os.environ.get("HABIT", "")
    if habit == "timeout":
        socket.setdefaulttimeout(1)
    if habit == "logging":
        logging.config.dictConfig({"version": 1})
    if habit == "exit":
        atexit.register(time.sleep, 60)
    if habit == "directory":
        os.chdir("/")
    if habit == "stdout":
        sys.stdout = WriteOnly()
    if habit == "signals":
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
    return flask_app


def load_slowly():
    note_file = os.environ["WITNESS_FOLDER"] + "/loading"
    with open(note_file, "w"):
        time.sleep(float(os.environ["LOADS_FOR"]))
    return flask_app


def load_never():
    raise ValueError("x" * 3_000_000)


@WerkzeugRequest.application
def decorated(werkzeug_request):
    from werkzeug.wrappers import Response as WerkzeugResponse

    return WerkzeugResponse(f"decorated {werkzeug_request.path}")


@flask_app.get("/slowly")
def slowly():
    def pieces():
        for number in range(4):
            yield f"{number};"
            time.sleep(0.6)

    return Response(pieces())


@flask_app.get("/raise")
def fail():
    raise LookupError("what a view raises")


@flask_app.get("/sleeping")
def sleeping():
    note("ran", request.environ)
    time.sleep(60)
    return "awake"


@flask_app.get("/lazy")
def lazy():
    import lazily_loaded

    return lazily_loaded.TEXT


@flask_app.get("/mail")
def mail():
    """Sends a mail, in a thread or by an executor, when the client has its reply."""

    def send(environ):
        time.sleep(float(request_seconds))
        note("sent", environ)

    request_seconds = request.args["seconds"]
    if request.args.get("by") == "executor":
        executor.submit(send, request.environ)
    elif request.args.get("by") == "scheduler":
        # A daemon, and so are the threads of its executor.
        scheduler = threading.Thread(target=executor.submit, args=(send, request.environ), daemon=True)
        scheduler.start()
        scheduler.join()
    else:
        threading.Thread(target=send, args=(request.environ,)).start()
    return "accepted"


@flask_app.get("/job")
def job():
    """Starts a process that outlives the reply, which is its pid."""
    process = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
    process.start()
    return str(process.pid)


@flask_app.get("/main")
def main():
    """The file of the program that this is: python-dotenv, for one, looks beside the caller only if it has
    one.
    """
    import __main__

    return __main__.__file__


@flask_app.get("/thread")
def thread():
    """The name of the thread that this is, while another runs the same."""
    both.wait(10)
    return threading.current_thread().name


def leave(status):
    sys.exit(status + ("waterspout.cli" in sys.modules))


@flask_app.get("/spawned")
def spawn():
    """The exit status of a process that begins with a new interpreter."""
    process = multiprocessing.get_context("spawn").Process(target=leave, args=(40,))
    process.start()
    process.join()
    return str(process.exitcode)


@flask_app.get("/fork")
def fork():
    """A child that goes on as the view does."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
    return "parent" if child else "child"


@flask_app.get("/exec")
def replace():
    os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(60)"])


@flask_app.get("/native/numbers/<number>")
def numbers(number):
    return "the old view"


@flask_app.post("/early")
def early():
    return "without the body"


@flask_app.post("/canary")
def canary():
    return b"canary " + request.args["id"].encode() + b" " + request.get_data()
