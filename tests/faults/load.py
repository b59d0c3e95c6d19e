"""Clients that never stop asking, and count the replies."""

import threading
from collections import Counter

from tests.wire.client import Cut


class Load:
    """`clients` threads, each on a connection that it keeps if `keeps`; a context manager.

    `told`: how often each status came, or "lost" when there was no whole reply.
    """

    def __init__(self, server, path, clients=8, *, keeps=True):
        self._server = server
        self._path = path
        self._keeps = keeps
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self.told = Counter()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(clients)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join(15)
        assert not any(thread.is_alive() for thread in self._threads)

    def _run(self):
        connection = None
        while not self._stop.is_set():
            connection = connection or self._server.connect()
            try:
                reply = connection.ask("GET", self._path)
                outcome, keeps = reply.status, self._keeps and reply.header("Connection") != "close"
            except (Cut, OSError):
                outcome, keeps = "lost", False
            with self._lock:
                self.told[outcome] += 1
            if not keeps:
                connection.close()
                connection = None
        if connection is not None:
            connection.close()
