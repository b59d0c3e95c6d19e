"""The blocking end of a lane: one thread, one request at a time, from its environ to its close().

Rule: everything that belongs to a request (the call, the iteration, `close()`) happens in this thread and in
a single fresh context. The event loop is never imported here.
"""

from __future__ import annotations

import contextlib
import contextvars
import errno
import io
import math
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, BinaryIO, Final, NoReturn

from waterspout.exceptions import Forked, FrameError
from waterspout.limits import BRIEF_VIEW, LANE_READ, QUICK_VIEW
from waterspout.logs.steady import steady
from waterspout.system.processes import count_cores
from waterspout.system.signals import fork_generation
from waterspout.system.surroundings import drop_streams
from waterspout.wsgi.backlog import BacklogEnd
from waterspout.wsgi.frames import (
    BODY,
    BODY_END,
    CANCEL,
    EOF,
    IDLE,
    NEXT,
    REQUEST,
    REST,
    SLEPT,
    THREAD,
    UPGRADE,
    FrameParser,
    RequestHead,
    pack,
    pack_about,
    pack_read,
    pack_taken,
    parse_about,
    parse_request,
)
from waterspout.wsgi.worker.alive import KEY, Presence
from waterspout.wsgi.worker.allow import AllowMerger
from waterspout.wsgi.worker.body import FileWrapper, comes_of_leaving, open_body
from waterspout.wsgi.worker.environ import build_environ
from waterspout.wsgi.worker.inbox import Inbox
from waterspout.wsgi.worker.loading import WSGIApp
from waterspout.wsgi.worker.raw_socket import SOCKET, RawSocket
from waterspout.wsgi.worker.response import Response
from waterspout.wsgi.worker.sleep import SleepMeter
from waterspout.wsgi.worker.varying import vary_with_cookies

logger = steady("waterspout.wsgi")

#: What the name of a lane worker's thread begins with.
LANE_THREAD: Final = "waterspout-lane"
#: The errors of a lane whose other end is gone, or that was shut down here.
_GONE: Final = frozenset((errno.EBADF, errno.ECONNRESET, errno.ENOTCONN, errno.EPIPE))
_LOST: Final = "a lane is lost, with what it was running: %s"
_IDLE = pack(IDLE)
_SLEPT = pack(SLEPT)


class LaneClosed(Exception):
    """The event loop has closed its end of the lane: this thread has nothing left to do."""


class Cancelled(Exception):
    """The client of the running request is gone: stop iterating, close, go idle."""


class LaneWorker:
    """Serves the requests of one lane. A view may read its body in a different thread from the one that runs
    it and sends the reply: each direction has a lock.

    `app`: the WSGI callable. `multiprocess`: other processes may run it at the same time. `backlog`: where
    small requests are queued. `company`: the lane workers of this process that are running a request.
    """

    def __init__(
        self,
        sock: socket.socket,
        app: WSGIApp,
        *,
        multithread: bool,
        multiprocess: bool,
        backlog: BacklogEnd | None = None,
        company: set[LaneWorker] | None = None,
    ) -> None:
        self._sock = sock
        self._app = app
        self._multithread = multithread
        self._multiprocess = multiprocess
        self._parser = FrameParser()
        self._packets = FrameParser()
        self._waiting: list[bytes] = []  # a REQUEST that has arrived and has not yet begun
        self._busy = False  # the event loop has not been told that this lane is free
        self._writes = 0
        self._backlog = backlog
        self._token = 0  # of the running request, if it came from the backlog
        self._silent: set[int] = set()  # those from the backlog whose clients send no more
        self._taken_at = 0.0
        self._took = math.inf  # seconds, until the last small reply
        self._quiet = 0  # how many more answers may collect before the event loop is woken
        self._shares_core = count_cores() == 1
        self._company: set[LaneWorker] = set() if company is None else company
        self._sleep = SleepMeter()
        self._generation = fork_generation()
        self._listening = threading.RLock()  # it knows whose it is, whatever interrupts that
        self._is_torn = False  # what is received is not yet sorted, or never will be
        self._speaking = threading.Lock()
        self.inbox = Inbox()

    def run(self) -> None:
        """Serve until the event loop closes the lane."""
        try:
            self._say(pack_about(THREAD, threading.get_native_id()))
            while True:
                head = parse_request(self._next())
                contextvars.Context().run(self._serve, head)
        except LaneClosed:
            pass
        except OSError as error:
            if error.errno not in _GONE:
                logger.error(_LOST, error, exc_info=error)
        finally:
            self._company.discard(self)
            with contextlib.suppress(OSError):
                # A child that the app has forked may hold it open. But of a request that has come and was not
                # read only `close` tells: before that there must be no end to be seen.
                self._sock.shutdown(socket.SHUT_RD)
                if not self._sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT):
                    self._sock.shutdown(socket.SHUT_WR)
            self.give_up()

    def give_up(self) -> None:
        """Close this end of the lane."""
        self._sock.close()
        if self._backlog is not None:
            self._backlog.close()

    def _next(self) -> bytes:
        """The next request, from the backlog or, when that is empty, from the lane as soon as one arrives."""
        if self._is_lost:  # the event loop must not be told that this lane is free
            logger.error(
                "a lane is closed: an exception has interrupted its thread while that received, and some of "
                "it is lost (a library's timeout, which is raised there from outside, or a lack of memory)"
            )
            raise LaneClosed
        while not self._waiting:
            if self._busy and (self._backlog is None or not self._take(self._backlog)):
                self._busy = False
                self._silent.clear()
                self._company.discard(self)
                self._say(_IDLE)
            if not self._busy:
                self.receive()
        return self._waiting.pop()

    @property
    def _is_lost(self) -> bool:
        """Some of what came for this lane is lost: what follows can't be told apart."""
        if not self._is_torn or not self._listening.acquire(blocking=False):
            return False  # a thread that a view left behind is at it right now
        is_torn = self._is_torn
        self._listening.release()
        return is_torn

    def _wake(self) -> None:
        """The event loop knows that this lane was idle: it has seen everything sent before."""
        self._busy = True
        self._company.add(self)
        if self._backlog is not None:
            self._backlog.make_room()

    def _take(self, backlog: BacklogEnd) -> bool:
        packet = backlog.take()
        if self._sleep.has_slept(alone=len(self._company) == 1, more=packet is not None):
            self._say(_SLEPT)
        if packet is None:
            return False
        token, frames = packet
        self._sort_all(self._packets.feed(frames))
        self._token = token
        self.inbox.client_eof = token in self._silent
        self._silent.discard(token)
        self._taken_at = time.perf_counter()
        self._quiet -= 1
        if self._quiet < 0:
            # Woken when half of it is done, the event loop fetches more while the rest runs; but on a core
            # that it shares with brief views, it would only interrupt them.
            waiting = backlog.estimate(len(frames))
            self._quiet = waiting if self._shares_core and self._took < BRIEF_VIEW else waiting // 2
        return True

    # -- the lane ----------------------------------------------------------------------------------------

    def receive(self, inbox: Inbox | None = None) -> None:
        """Wait for bytes from the event loop and sort them, unless another thread has put something into
        `inbox` by now. Raises Forked, OSError; LaneClosed: only without `inbox`; else the reason is stored
        there.
        """
        self._refuse_forked()
        with self._listening:
            if inbox is None:
                if not self._waiting:  # else a thread that a view left behind has received it
                    self._take_in()
            elif inbox.is_empty:
                with contextlib.suppress(LaneClosed):
                    self._take_in()

    def ask(self, credit: int) -> None:
        """Ask the event loop for `credit` more bytes of the body. If that fails, `receive` reports why.

        Raises Forked.
        """
        self._refuse_forked()
        with contextlib.suppress(LaneClosed):
            self._say(pack_read(credit))

    def send(self, frames: bytes) -> None:
        """Send, unless the client is gone. Blocks while the client is slow. Raises Cancelled, LaneClosed,
        Forked.

        There is no check for CANCEL before a request's first write: most replies are one write.
        """
        self._refuse_forked()
        if self._writes:
            self._poll()
        if self.inbox.cancelled:
            raise Cancelled
        self._writes += 1
        if self._token and self._writes == 1:
            assert self._backlog is not None
            seconds = self._took = time.perf_counter() - self._taken_at
            is_quiet = self._quiet > 0 and seconds < QUICK_VIEW
            rest = self._backlog.answer(self._token, seconds, frames) if is_quiet else None
            if rest is None:
                frames = pack_taken(self._token, seconds) + frames
            elif rest:
                frames = pack(REST, rest)
            else:
                return
        self._say(frames)

    def say(self, frames: bytes) -> bool:
        """Send for a view that has taken its connection over. False: the client is gone, or the lane is lost,
        or it is that of a forked child's parent.
        """
        if fork_generation() != self._generation or self._sees_cancel():
            return False
        try:
            self._say(frames)
        except LaneClosed:
            return False
        return True

    def _sees_cancel(self) -> bool:
        """Whether a CANCEL, or the lane's end, is to be received. Takes nothing: a thread of the view may be
        waiting for the rest in a selector.
        """
        try:
            if not self._listening.acquire(blocking=False):
                return False  # a thread of the view is receiving, and will see it
            data = self._sock.recv(LANE_READ, socket.MSG_DONTWAIT | socket.MSG_PEEK)
            return not data or self._parser.foresees_cancel(data)
        except BlockingIOError:
            return False
        except OSError:
            return True
        finally:
            try:  # noqa: SIM105 - `suppress` is a call: an exception from outside may come behind it
                self._listening.release()
            except RuntimeError:
                pass  # another thread has it

    def fileno(self) -> int:
        return self._sock.fileno()

    def _say(self, frames: bytes) -> None:
        """Send all of this, or never anything again: the event loop could not parse what follows half a
        frame, and a reply that was not sent must not look like one that was. Raises LaneClosed.
        """
        try:
            with self._speaking:
                self._sock.sendall(frames)
        except OSError as error:
            if error.errno not in _GONE:
                logger.error(_LOST, error)
            self._lose(error)

    def _lose(self, error: Exception) -> NoReturn:
        """Shut the lane down in both directions. Raises LaneClosed."""
        self.inbox.cancelled = f"the lane is lost: {error}"
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        raise LaneClosed from None

    def look(self) -> None:
        """Sort what has arrived. A child that the app forked leaves it to its parent."""
        if fork_generation() != self._generation:
            return
        if self.inbox.is_raw:
            if not self.inbox.cancelled and self._sees_cancel():
                self.inbox.cancelled = "the client left"
            return
        try:
            self._poll()
        except LaneClosed:
            pass  # the reason is already stored
        except OSError as error:
            self.inbox.cancelled = f"the lane is lost: {error}"

    def _check(self) -> None:
        """Look for CANCEL when there is nothing to send. Raises Cancelled, LaneClosed.

        After the end of the reply, a CANCEL means only that no more of the body will come.
        """
        self._poll()
        if self.inbox.cancelled:
            raise Cancelled

    def _poll(self) -> None:
        if self.inbox.is_raw or self._is_torn:
            return  # a thread of the view is listening, or will be, and sorts what it receives
        try:  # an exception from outside may come behind `acquire`, before there is a result to go by
            if self._listening.acquire(blocking=False):
                self._take_in(socket.MSG_DONTWAIT)
        except BlockingIOError:
            pass
        finally:
            try:  # noqa: SIM105 - `suppress` is a call: an exception from outside may come behind it
                self._listening.release()
            except RuntimeError:
                pass  # another thread has it

    def _take_in(self, flags: int = 0) -> None:
        """Receive, and sort. Whatever interrupts this, except for the socket's own errors, takes bytes with
        it: an exception that a library raises in this thread from another one (a timeout), or a lack of
        memory. What follows would be parsed as frames, though it may be a client's: take nothing more.

        Raises OSError: also if that has happened before.
        """
        if self._is_torn:
            raise OSError(errno.EIO, "a read was interrupted, and some of the body is lost")
        self._is_torn = True
        try:
            self._sort(self._sock.recv(LANE_READ, flags))
        except LaneClosed:
            self._is_torn = False
            raise
        except OSError as error:
            # One that is raised from outside may be an OSError, too; the socket's have a number.
            self._is_torn = error.errno is None
            raise
        self._is_torn = False

    def _sort(self, data: bytes) -> None:
        if not data:
            self.inbox.cancelled = "the server has closed the lane"
            raise LaneClosed
        try:
            frames = self._parser.feed(data)
        except FrameError as error:
            logger.error(_LOST, error, exc_info=error)
            self._lose(error)  # what follows can't be parsed, either
        self._sort_all(frames)
        if self._waiting:
            self._wake()

    def _sort_all(self, frames: list[tuple[int, bytes]]) -> None:
        for kind, payload in frames:
            if kind == REQUEST:
                # Whatever the previous request left unread, including a late CANCEL, is discarded here.
                self.inbox = Inbox()
                self._writes = self._token = 0
                self._waiting.append(payload)
            elif kind == BODY:
                self.inbox.pieces.append(payload)
            elif kind == BODY_END:
                self.inbox.ended = True
            elif kind == NEXT:
                self._wake()
            elif kind in (CANCEL, EOF):
                self._hear(kind, *parse_about(payload))

    def _hear(self, kind: int, token: int, text: str) -> None:
        """CANCEL or EOF. It may be about a request that is over or, for EOF, one that is still to come."""
        if token == self._token:
            if kind == CANCEL:
                self.inbox.cancelled = text
            else:
                self.inbox.client_eof = True
        elif kind == EOF and token > self._token:
            self._silent.add(token)

    def _refuse_forked(self) -> None:
        """A child that the app forked must not take its parent's bytes, nor send any. Raises Forked."""
        if fork_generation() != self._generation:
            raise Forked(
                "a process that a view has forked can't read the request's body or send the reply: only the "
                "view can; read what the process needs before it is forked, and hand back what it returns"
            )

    def _leave_if_forked(self, error: BaseException | None = None) -> None:
        """A child that the app forked must not go on as a lane worker. `error`: what ends it."""
        if fork_generation() == self._generation:
            return
        status = 1
        if isinstance(error, SystemExit):
            status = _status_of(error)
        elif error is not None:
            logger.error("a process forked by a view exits on an exception", exc_info=error)
        drop_streams()
        os._exit(status)

    # -- one request -------------------------------------------------------------------------------------

    def _serve(self, head: RequestHead) -> None:
        response = Response(head.method, head.request_id, self.send)
        body: BinaryIO | None = None
        raw: RawSocket | None = None
        try:
            body = open_body(head.body_length, self) if head.body_length else io.BytesIO()
            environ = build_environ(
                head,
                body,
                sys.stderr,
                multithread=self._multithread,
                multiprocess=self._multiprocess,
                file_wrapper=FileWrapper,
            )
            environ[KEY] = Presence(self)
            if head.body_length == UPGRADE:
                raw = environ[SOCKET] = RawSocket(self, response.take_over)
            app = AllowMerger(self._app, head.allow) if head.allow else self._app
            start_response = response.start_response
            if head.varies:
                start_response = vary_with_cookies(start_response)
            self._respond(head, response, app(environ, start_response))
        except BaseException as error:
            # SystemExit and KeyboardInterrupt too: an app can raise anything, and the lane must survive.
            self._report(head, response, error)
        finally:
            self._leave_if_forked()
            response.leave()
            if raw is not None:
                raw.close()
            if head.body_length < 0 and body is not None:
                with contextlib.suppress(ValueError):  # the app has detached it
                    body.close()  # a thread that the view left behind must not read from the lane

    def _respond(self, head: RequestHead, response: Response, iterable: Any) -> None:
        try:
            if type(iterable) in (list, tuple) and len(iterable) == 1:  # a subclass may yield something else
                # PEP 3333, "Handling the Content-Length Header": one chunk, so its length is known.
                response.write(iterable[0], only=True)
            else:
                self._iterate(head, response, iterable)
            response.end()
        except BaseException as error:
            _explain(error, iterable)
            self._report(head, response, error)  # before close(), for which the client need not wait
        finally:
            close = getattr(iterable, "close", None)
            if close is not None:
                self._close(head, close)

    def _iterate(self, head: RequestHead, response: Response, iterable: Iterable[bytes]) -> None:
        if response.unwanted:
            return
        # That of a 204 or 304 is run, too: a middleware may commit behind its last chunk.
        for chunk in iterable:
            if response.ended and chunk:
                # PEP 3333: nothing past the reply's end is wanted, and the iterable may never end.
                if not response.taken_over:
                    logger.warning(
                        "request %s: the app's iterable goes on after the end of its reply: it is stopped "
                        "there",
                        _describe(head),
                    )
                return
            response.write(chunk)
            if response.unwanted:
                return
            if not chunk:
                self._check()

    def _close(self, head: RequestHead, close: Callable[[], None]) -> None:
        """The reply is decided by now: what close() raises is logged, never sent."""
        try:
            close()
        except Exception as error:
            logger.error("request %s: close() of the app's iterable raised", _describe(head), exc_info=error)

    def _report(self, head: RequestHead, response: Response, error: BaseException) -> None:
        """Log what the app raised and send an error reply, if anybody still listens."""
        if isinstance(error, (Cancelled, LaneClosed)):
            return
        self._leave_if_forked(error)
        if self.inbox.cancelled and comes_of_leaving(error):
            return  # there is nobody to answer, and nothing has failed
        if response.taken_over and isinstance(error, ConnectionError):
            return  # as Werkzeug's server does it, where Engine.IO ends a connection by raising one
        logger.error("request %s raised", _describe(head), exc_info=error)
        with contextlib.suppress(Cancelled, LaneClosed):
            response.fail()


def _describe(head: RequestHead) -> str:
    """Its ID, method and target, for a log line."""
    return f"{head.request_id}: {head.method} {ascii(head.target)[1:-1]}"


def _explain(error: BaseException, iterable: Any) -> None:
    """Add to `error`, if it says that what the app returned is not iterable, what that may mean."""
    if isinstance(error, TypeError) and callable(iterable) and not isinstance(iterable, Iterable):
        error.add_note(
            "what was called as a WSGI app has returned what may be one: if it is a factory that needs "
            "arguments, write a module with the line `app = factory(...)`, and name that module's app instead"
        )


def _status_of(error: SystemExit) -> int:
    """The exit status that Python would end with."""
    if error.code is None or isinstance(error.code, int):
        return (error.code or 0) & 0xFF
    sys.stderr.write(f"{error.code}\n")
    return 1
