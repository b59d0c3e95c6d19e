"""A WSGI process's end of its control channel. Blocking; nothing of the event loop is imported here."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import queue
import socket
import threading
from _thread import start_new_thread
from collections.abc import Iterable
from typing import Final

from waterspout.exceptions import ConfigurationError
from waterspout.hub.outbox import Outbox
from waterspout.limits import FAILURE_TEXT, ORPHAN_GRACE
from waterspout.logs.standing import LEFT, MAIN_THREAD, describe_left, find_place, find_threads
from waterspout.wsgi.frames import (
    FAILED,
    LANE,
    PING,
    PLACE,
    PONG,
    PUBLISH,
    READY,
    SCANT,
    STOP,
    URLS,
    WHERE,
    FrameParser,
    pack,
)
from waterspout.wsgi.worker.loading import refuse_patched_threads

_MAX_DESCRIPTORS: Final = 64

#: An order: (kind, payload, the descriptors that came with a LANE).
Order = tuple[int, bytes, tuple[int, ...]]


class Control:
    """Reads orders in its own thread from the very start, also while the app is being imported.

    `orders`: what the main thread has to do. When the server is gone, or says STOP while the app is still
    being imported, the process must end whatever its other threads do: the reader ends it. `is_orphan`:
    the server is gone. `is_ending`: the main thread serves no more.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._writing = threading.Lock()
        self._flushing = threading.Lock()
        # Not an Event, which takes a lock: the garbage collector may run while that is held, and a finalizer
        # may publish.
        self._published: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._is_told = False
        self._parser = FrameParser()
        self._descriptors: list[tuple[int, ...]] = []
        self.orders: queue.SimpleQueue[Order] = queue.SimpleQueue()
        self.outbox = Outbox(self._tell_published)
        self.ready = self.is_orphan = self.is_ending = False

    def start(self) -> None:
        """Raises RuntimeError: no threads can be had."""
        for work in (self._read, self._write_published):
            # Not listed by `threading`: an app that sees other threads may refuse to be loaded (Tryton).
            start_new_thread(work, ())

    # -- to the event loop -------------------------------------------------------------------------------

    def say_ready(self) -> None:
        self.ready = True
        self._send(pack(READY))

    def say_urls(self, payloads: Iterable[bytes]) -> None:
        """Send the names of the app's endpoints, in as many frames as needed."""
        for payload in payloads:
            self._send(pack(URLS, payload))

    def say_failed(self, error: Exception) -> None:
        """The app can't be loaded; the server raises the same exception."""
        text = str(error)
        if len(text) > FAILURE_TEXT:
            text = f"{text[:FAILURE_TEXT]} ... ({len(text)} characters)"
        self._send(pack(FAILED, json.dumps({"kind": type(error).__name__, "text": text}).encode()))

    def say_scant(self, lanes: int, why: str = "") -> None:
        """There are threads for `lanes` lanes and no more. Without `why`: that is all by now."""
        self._send(pack(SCANT, f"{lanes} {why}".encode()))

    def flush(self) -> None:
        """Send what is still in the outbox, after what another thread is sending from it. Raises OSError: the
        server is gone.
        """
        with self._flushing:
            while (item := self.outbox.take()) is not None:
                topic, message = item
                self._send(pack(PUBLISH, topic.encode() + b"\n" + message))

    def flush_at_exit(self) -> None:
        """Send late messages before the process ends: those published by threads that views have started,
        which Python waits for, and by the app's own exit functions. The thread that normally sends may no
        longer run by then.
        """
        atexit.register(self._flush_last)

    def _flush_last(self) -> None:
        if self.outbox.pid != os.getpid():
            return  # a child that the app forked: its messages are copies
        with contextlib.suppress(OSError):  # the server is gone
            self.flush()

    def _tell_published(self) -> None:
        if not self._is_told:
            self._is_told = True
            self._published.put(None)

    def _write_published(self) -> None:
        while True:
            self._published.get()
            self._is_told = False
            try:
                self.flush()
            except OSError:
                return  # the server is gone, and the reader handles that

    def _send(self, frame: bytes) -> None:
        with self._writing:
            self._sock.sendall(frame)

    # -- from the event loop -----------------------------------------------------------------------------

    def _read(self) -> None:
        while True:
            try:
                data, descriptors, flags, _address = socket.recv_fds(self._sock, 65536, _MAX_DESCRIPTORS)
            except OSError:
                data, descriptors, flags = b"", [], 0
            if flags & socket.MSG_CTRUNC:
                # This process can't hold so many. A lane's descriptors are useless without one another.
                for descriptor in descriptors:
                    os.close(descriptor)
                descriptors = []
            for descriptor in descriptors:
                os.set_inheritable(descriptor, False)  # not for the app's own subprocesses
            if not data:
                self._end_orphan()
            if descriptors:
                self._descriptors.append(tuple(descriptors))
            for kind, payload in self._parser.feed(data):
                if kind == STOP and not self.ready:
                    os._exit(0)
                if kind == PING:
                    self._answer(pack(PONG))
                    continue
                if kind == WHERE:
                    self._refuse_patched()
                    thread = int(payload)
                    place = self._describe_left() if thread == LEFT else find_place(thread)
                    self._answer(pack(PLACE, payload + b" " + place.encode()))
                    continue
                if kind == LANE and not self._descriptors:
                    continue  # the kernel had no room for its descriptors: the other end sees the lane closed
                self.orders.put((kind, payload, self._descriptors.pop(0) if kind == LANE else ()))

    def _describe_left(self) -> str:
        if self.is_ending:
            return describe_left(find_threads())
        return f"too little processor time to end, at {find_place(MAIN_THREAD)}"

    def _refuse_patched(self) -> None:
        """An app that patches Python's threads while another one runs, as this one does, may never be loaded
        (Locust): its import lock is then held by nobody. It would be refused anyway.
        """
        if self.ready:
            return
        try:
            refuse_patched_threads()
        except ConfigurationError as error:
            self.say_failed(error)
            os._exit(1)

    def _answer(self, frame: bytes) -> None:
        """That this thread could run is part of the answer: no thread holds the interpreter lock."""
        with contextlib.suppress(OSError):  # the server is gone, as the next read will show
            self._send(frame)

    def _end_orphan(self) -> None:
        """The server is gone. Views notice that their lanes are closed; wait for nothing else."""
        self.is_orphan = True
        if self.ready:
            self.orders.put((STOP, b"", ()))
            threading.Event().wait(ORPHAN_GRACE)
        os._exit(1)
