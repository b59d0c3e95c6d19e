"""An app that meets oddities of machines: closed descriptors, too few threads, early signals."""

import os
import time
from pathlib import Path
from threading import Thread

from waterspout.system.daemon_thread import DaemonThread


def app(environ, start_response):
    """Shows whether `wsgi.errors` can be written to, and what descriptors 0 to 2 are."""
    environ["wsgi.errors"].write("a word\n")
    links = " ".join(os.readlink(f"/proc/self/fd/{number}") for number in range(3))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [links.encode()]


def load_with_few_threads(few=2):
    """As if the third lane's thread, and all after it, were more than the machine allows for now."""
    start, started = Thread.start, []
    enough = Path(os.environ["WITNESS_FOLDER"], "enough")

    def start_few(self):
        if isinstance(self, DaemonThread) and not enough.exists():
            started.append(self)
            if len(started) > few:
                raise RuntimeError("can't start new thread")
        start(self)

    DaemonThread.start = start_few
    return app


def load_with_no_threads():
    """As if the machine allowed none."""
    return load_with_few_threads(0)


def load_with_a_helper():
    """Forks a helper that lives longer than its server."""
    helper = os.fork()
    if helper == 0:
        time.sleep(60)
        os._exit(0)
    Path(os.environ["WITNESS_FOLDER"], "helper").write_text(str(helper))
    return app
