"""The event loop's end of a lane."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import time
from collections.abc import Callable
from itertools import takewhile
from typing import Any, Protocol, cast

from waterspout.exceptions import FrameError
from waterspout.limits import ONE_READ
from waterspout.logs.steady import steady
from waterspout.message.record import Record, describe_request
from waterspout.system.transport import close_transport
from waterspout.wsgi.backlog import Answer, Backlog
from waterspout.wsgi.frames import (
    CANCEL,
    DATA,
    END,
    EOF,
    IDLE,
    NEXT,
    READ,
    REPLY,
    REST,
    SLEPT,
    SWITCH,
    TAKEN,
    THREAD,
    FrameParser,
    ReplyHead,
    pack,
    pack_about,
    parse_about,
    parse_read,
    parse_reply,
    parse_taken,
)

logger = steady("waterspout.wsgi")


class LaneUser(Protocol):
    """What a lane tells, and asks, the exchange that runs on it."""

    @property
    def record(self) -> Record:
        """The record of its request."""

    def on_read(self, credit: int) -> None:
        """The view wants `credit` more bytes of the body."""

    def on_reply(self, head: ReplyHead | None, data: bytes, end: bytes | None) -> None:
        """What one read of the lane brought: perhaps the head, some body, perhaps the end."""

    def on_switch(self) -> None:
        """The view has taken the connection over: what comes next is for the client as it is."""

    def wind_up(self) -> None:
        """The process of its view is to end. Called from time to time while that waits for the view."""

    def on_taken(self, seconds: float) -> None:
        """It was in the backlog, and has been running for `seconds`."""

    def on_answer(self, answer: Answer) -> None:
        """The whole reply, from the backlog."""

    def on_lane_lost(self, unread: bool, stopped: bool) -> None:
        """The worker is lost with the request on it. `unread`: it was lost before it read anything of the
        request; `stopped`: the lane was closed because the request's time was up.
        """

    def break_off(self) -> None:
        """One of these calls has failed: nothing more can be sent to its client."""

    @property
    def is_starving(self) -> bool:
        """The view may be waiting for more of the body, which the client has not sent."""

    def time_out(self) -> bool:
        """The view has sent nothing for too long: answer in its place, or cut. False: no need to."""


#: `quiet` of a lane that has made progress since the last look.
MOVED = -1.0


class Lane(asyncio.Protocol):
    """One socket to one lane worker. It carries one exchange at a time and is free again after IDLE. Those in
    its `backlog`, if it has one, follow without any message.

    `on_idle`, `on_lost`, `on_slept` and `on_paused` are called with the lane. Attributes: `user`, the
    exchange on it, None when free, when that is in the backlog, or when its client is gone and what still
    comes is thrown away; `busy`, until IDLE; `quiet`, for how long its view has sent nothing although it
    could, as `pool/watch.py` counts it (seconds), or `MOVED`; `stuck`, that was too long; `takes_more`, small
    requests may be `put` behind what it runs; `steps`, replies that have ended; `thread`, the worker's thread
    ID; `opened`, when, in event loop time.
    """

    def __init__(
        self,
        on_idle: Callable[[Lane], None],
        on_lost: Callable[[Lane], None],
        on_slept: Callable[[Lane], None] = lambda lane: None,
        on_paused: Callable[[Lane], None] = lambda lane: None,
        backlog: Backlog[LaneUser] | None = None,
    ) -> None:
        self._on_idle = on_idle
        self._on_lost = on_lost
        self._on_slept = on_slept
        self._on_paused = on_paused
        self.backlog = backlog
        self._parser = FrameParser()
        self._transport: asyncio.Transport | None = None
        self.user: LaneUser | None = None
        self._token = 0  # of the request that is known to run
        self._ended = True  # its reply has ended
        self._announced = True  # what comes is of it, and not of the one before
        self.busy = False
        self.quiet = MOVED
        self.stuck = False
        self.takes_more = False
        self.steps = 0
        self.thread = 0
        self.opened = 0.0
        self._paused = False
        self._stopped = False
        self._sends = 0
        self._whole_or_not = True  # what was sent first can't have been read in part
        self._reset = False
        self._refused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own class is not registered as one

    def begin(self, user: LaneUser, frames: bytes, *, small: bool = False) -> None:
        """Start an exchange: `frames` are its REQUEST and, if it is `small`, all of its body."""
        self._take_up(user, 0)
        self.busy = True
        self.quiet = MOVED
        self.takes_more = small and self.backlog is not None
        self._sends = 0
        self._whole_or_not = len(frames) <= ONE_READ
        self.send(frames)

    def put(self, user: LaneUser, frames: bytes) -> bool:
        """Queue a small request behind what runs. False: there is no room."""
        return self.backlog is not None and self.backlog.put(user, frames)

    @property
    def record(self) -> Record:
        """The record of the request that runs, or was the last to run."""
        if self._ended and self._behind:
            return next(iter(self._behind.values())).record
        return self._record

    @property
    def behind(self) -> int:
        """How many requests are in its backlog. The one that runs is not, though the worker has not said so:
        it does with the first byte of the reply, which a long-poll sends at its end.
        """
        return len(self._behind) - (self._token in self._behind)

    @property
    def view(self) -> str:
        """Method and path of its request, for log and figures."""
        return describe_request(self.record.method, self.record.target)

    @property
    def seconds(self) -> float:
        """For how long its request has been running."""
        return time.perf_counter() - (self.record.started or 0.0)

    @property
    def is_running(self) -> bool:
        """Its view could proceed: it waits neither for the body nor for a slow client."""
        return self.busy and not self._paused and not (self.user is not None and self.user.is_starving)

    @property
    def is_unread(self) -> bool:
        """The worker, which has ended, has read nothing of the last request that was begun."""
        # The write found the other end closed; or that end was closed with unread data, which can only be the
        # request: it was one write, or the worker had not even sent THREAD.
        if self._transport is not None:
            self._reset = self._reset or _is_reset(self._transport)
        was_left = self._refused or (self._reset and (self._whole_or_not or not self.thread))
        return self._token == 0 and (self._sends == 0 or (self._sends == 1 and was_left))

    def send(self, frames: bytes) -> None:
        """Write to the worker. Nothing is sent unless asked for, so this needs no flow control."""
        if self._transport is not None and not self._transport.is_closing():
            self._sends += 1
            self._transport.write(frames)

    def say_eof(self, user: LaneUser) -> None:
        """The client of `user` sends no more: its view may want to know."""
        token = self._token if user is self.user else self._find(user)
        if token is not None:
            self.send(pack_about(EOF, token))

    def cancel(self, user: object, reason: str = "the client left") -> None:
        """Nobody waits for the reply to `user`: tell the worker why, and throw away what it still sends until
        IDLE. A request that the worker has not taken will never be run.
        """
        if user is self.user:
            self.user = None
            if self.backlog is not None:
                self.backlog.users.pop(self._token, None)
            self.send(pack_about(CANCEL, self._token, reason))
            self.resume()
        elif self.backlog is not None and (token := self.backlog.withdraw(user)):
            self.send(pack_about(CANCEL, token, reason))

    def pause(self) -> bool:
        """Stop reading: the client is slow, and the worker is to block in its send.

        False: the worker already runs another request, whose client must not wait for this one. At most a
        socket buffer's worth of this one's reply is still to come.
        """
        if self._transport is None:
            return False
        if not self._paused:
            if self._behind:
                self._on_paused(self)
            self.takes_more = False
            if self._behind:
                return False
            self._paused = True
            self._transport.pause_reading()
        return True

    def resume(self) -> None:
        """Resume reading. Harmless when not paused."""
        if self._transport is not None and self._paused and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()

    def close(self, *, stopped: bool = False) -> None:
        """Close at once; the worker ends when it has finished what it runs. `stopped`: the time of whatever
        it runs is up.
        """
        self._stopped = stopped
        if self._transport is not None:
            self._reset = self._reset or _is_reset(self._transport)
            self._transport.abort()
        else:
            self._drop_backlog()

    def abandon(self) -> None:
        """`close`, for when the event loop is closed: no callback is called."""
        close_transport(self._transport)
        self._transport = None
        self._drop_backlog()

    # -- the backlog -------------------------------------------------------------------------------------

    def collect(self, rest: bytes = b"") -> None:
        """Pass on what the worker has answered through the backlog, and the `rest` that came by the lane."""
        if self.backlog is None:
            return
        for token, answer in self.backlog.collect(rest):
            self.steps += 1
            self.quiet = MOVED
            user = None if self.backlog is None else self.backlog.users.pop(token, None)
            if user is None:
                continue
            if user is self.user:
                self.user = None
                self._ended = True
            _tell(user, user.on_answer, answer)  # never raises: the other answers exist only here
        self._find_running()

    def take_back(self) -> list[LaneUser]:
        """Those in the backlog that the worker has not taken, in order. It takes no more until it is idle.

        If it has taken one without saying so, that is the one it runs.
        """
        users = [] if self.backlog is None else self.backlog.take_back()
        self.takes_more = False  # now, and not before: see `_find_running`
        self.collect()
        return users

    def _find_running(self) -> None:
        """Once it takes no more, all that is left in the backlog has been taken: the first there is the one
        that runs. The previous one is over if nobody waits for it: the worker doesn't report its end.
        """
        if not self.takes_more and self._behind and (self._ended or self.user is None):
            token, user = next(iter(self._behind.items()))
            self._take_up(user, token)

    def _drop_backlog(self) -> None:
        if self.backlog is not None:
            self.backlog.close()
            self.backlog = None

    @property
    def _behind(self) -> dict[int, LaneUser]:
        return self.backlog.users if self.backlog is not None else {}

    def _find(self, user: LaneUser) -> int | None:
        return next((token for token, other in self._behind.items() if other is user), None)

    def _take_up(self, user: LaneUser | None, token: int) -> None:
        """`user` is what runs now."""
        self.user, self._token = user, token
        self._ended, self._announced = False, not token
        if user is not None:
            self._record = user.record

    # -- asyncio calls these -----------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        head: ReplyHead | None = None
        pieces: list[bytes] = []
        end: bytes | None = None
        idle = slept = False
        try:
            frames = self._parser.feed(data)
        except FrameError as error:
            logger.error("a lane is lost, with what it was running: %s", error)
            self.close()
            return
        for kind, payload in frames:
            if kind == DATA:
                pieces.append(payload)
            elif kind == REPLY:
                head = parse_reply(payload)
            elif kind == END:
                end = payload
            elif kind == IDLE:
                idle = True
            else:  # in order: whether the reply has begun decides whether 100 Continue may still be sent
                self._pass_on(head, pieces, end)
                head, pieces, end = None, [], None
                if kind == READ and self.user is not None:
                    _tell(self.user, self.user.on_read, parse_read(payload))
                elif kind == TAKEN:
                    self._on_taken(*parse_taken(payload))
                elif kind == REST:
                    self.collect(payload)
                elif kind == SLEPT:
                    slept = True
                elif kind == SWITCH and self.user is not None:
                    _tell(self.user, self.user.on_switch)
                elif kind == THREAD:
                    self.thread = parse_about(payload)[0]
        self._pass_on(head, pieces, end)
        if self._behind:
            self.collect()
        if slept:
            self._on_slept(self)
        if idle:
            self._on_worker_idle()

    def _on_taken(self, token: int, seconds: float) -> None:
        assert self.backlog is not None
        users = self.backlog.users
        # Nearly always it is the next one: a look into the pipe for each would cost a hundredth of a request.
        if token != self._token and not (self._ended and next(iter(users), 0) == token):
            self._lose_skipped(token)
        user = users.pop(token, None)
        if token != self._token:  # else it was already found to be running
            self._take_up(user, token)
        self._announced = True
        if user is not None:
            user.on_taken(seconds)

    def _lose_skipped(self, token: int) -> None:
        """The worker runs this one: if those before it have no whole reply by now, they never will."""
        self.collect()
        if token == self._token:
            return
        users, running = self._behind, self.user
        before = list(takewhile(token.__ne__, users)) if token in users else []
        lost = [users.pop(other) for other in before]
        if running is not None and self._announced and not self._ended:  # else `users` still has it
            lost.append(running)
        for user in lost:
            logger.error(
                "request %s: its lane went on to another before its reply was complete",
                user.record.request_id,
            )
            _tell(user, user.on_lane_lost, False, False)

    def _on_worker_idle(self) -> None:
        if self.user is not None and not self._ended:
            logger.error(
                "request %s: its lane went idle before its reply was complete", self.record.request_id
            )
            self.close()  # so that its client learns of it, too
            return
        self.user = None
        self._ended = True
        self.resume()  # the end may have come in the same read as data that the slow client has not taken
        if self.backlog is not None and self._behind:
            if self.backlog.is_empty:
                logger.error("%d requests were taken from a backlog and not answered", len(self._behind))
                self.close()
                return
            # They were queued just after the worker had looked. Whatever it has taken, it has reported by
            # now.
            self.quiet = MOVED
            self.send(pack(NEXT))
            return
        self.busy = self.takes_more = False
        self._on_idle(self)

    def _pass_on(self, head: ReplyHead | None, pieces: list[bytes], end: bytes | None) -> None:
        """Pass on all that one read of the lane brought in one call: a small reply goes out in one packet."""
        if head is None and not pieces and end is None:
            return
        self.quiet = MOVED
        if not self._announced:
            return  # the last of a reply whose client has left: whoever runs now says so first (TAKEN)
        user = self.user
        if end is not None:
            self.steps += 1
            self._ended = True
        if user is not None:
            _tell(user, user.on_reply, head, pieces[0] if len(pieces) == 1 else b"".join(pieces), end)
        if end is not None:
            self._find_running()

    def eof_received(self) -> None:
        """The worker's end is closed; returning None closes ours."""

    def connection_lost(self, error: Exception | None) -> None:
        self._reset = self._reset or isinstance(error, ConnectionResetError)
        self._refused = isinstance(error, BrokenPipeError)
        self._transport = None
        untaken = self.take_back()
        unread = self.is_unread
        lost = [(user, False) for user in self._behind.values() if user is not self.user]
        lost += [(user, True) for user in untaken]
        self._drop_backlog()
        user, self.user = self.user, None
        self._on_lost(self)
        if user is not None:
            _tell(user, user.on_lane_lost, unread, self._stopped)
        for user, untouched in lost:
            _tell(user, user.on_lane_lost, untouched, self._stopped)


def _is_reset(transport: asyncio.Transport) -> bool:
    """The other end was closed with unread data, and this has not been reported yet."""
    sock: socket.socket | None = transport.get_extra_info("socket")
    if sock is None or transport.is_closing():  # uvloop has none when its loop is closed
        return False
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNRESET


def _tell(user: LaneUser, call: Callable[..., None], *arguments: Any) -> None:
    """A failure on a client's side must not bring down the lane, and other requests with it."""
    try:
        call(*arguments)
    except Exception:
        logger.exception("a reply could not be passed on")
        with contextlib.suppress(Exception):  # the failure has just been logged
            user.break_off()
