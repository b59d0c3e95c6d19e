"""Lane workers as threads of a WSGI process: the event loop's side of that process.

The process is spawned, told over its control channel what to run, and given one end of each lane by
descriptor passing. Only its exit shows that it died: a child that the app forked may hold every
socket open. It ignores signals that a terminal or a service manager sends to the whole group; only the
control channel stops it, by an order or by closing.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import Final

from waterspout.exceptions import (
    ConfigurationError,
    FrameError,
    TargetNotFound,
    TargetRaised,
    WaterspoutError,
)
from waterspout.importer import Home
from waterspout.limits import CUT_GRACE, END_GUESSED, END_SAID, EXIT_GRACE, PLACES_ASKED
from waterspout.logs.local_time import TIME_ZONE
from waterspout.logs.standing import LEFT, describe_place
from waterspout.system.descriptors import describe_limit, is_shortage, reserve
from waterspout.system.processes import is_ending, is_stopped, read_rss
from waterspout.system.signals import GROUP_SIGNALS
from waterspout.wsgi.backlog import BacklogEnd
from waterspout.wsgi.frames import (
    FAILED,
    LANE,
    PING,
    PLACE,
    PONG,
    PUBLISH,
    READY,
    SCANT,
    SPEC,
    STOP,
    URLS,
    WHERE,
    FrameParser,
    pack,
)
from waterspout.wsgi.lanes.command import build_command
from waterspout.wsgi.lanes.crew import Crew, CrewEvents, CrewSpec
from waterspout.wsgi.lanes.lane import Lane
from waterspout.wsgi.lanes.longest import describe_running
from waterspout.wsgi.naming import Names

logger = logging.getLogger("waterspout.wsgi")

#: How long (seconds) a socket that was sent to a process stays open here, too: macOS may lose one that is
#: closed on its way (https://github.com/nodejs/node/issues/7512). There are no backlogs then.
_KEPT: Final = 0.5 if sys.platform == "darwin" else 0.0

#: How long (seconds) a process that is to be killed may write where its threads are; also, at most, how long
#: after the loss of its lanes its end is noticed.
_LAST_WORDS: Final = 0.5

#: In how many steps a sign of life is waited for: a stall of the whole machine is one of them.
_STEPS: Final = 5

#: What most likely keeps a process from ending that has nothing to serve and does not answer any more.
_ENDING: Final = "it does not say what, so most likely Python itself is ending (it frees the app's objects)"

#: Why a process that is stopped does not answer.
STOPPED: Final = "somebody has stopped it (SIGSTOP, a debugger)"

_FAILURES: Final = {error.__name__: error for error in (TargetNotFound, TargetRaised, ConfigurationError)}


class ProcessCrew(Crew):
    """One WSGI process and its lanes. `gone`: it has ended. `awaited`: a sign of life was asked for and has
    not come; `silence`: for how long, as `pool/watch.py` counts it (seconds). `ended_here`: we kill it.
    """

    def __init__(self, spec: CrewSpec, events: CrewEvents) -> None:
        super().__init__(spec, events)
        self.gone = False
        self.awaited = False
        self.silence = 0.0
        self._parser = FrameParser()
        self._names: Names | None = None
        self._untold = False
        self.ended_here = False
        self._is_deaf = False  # it is alive, but no order reaches it
        self._is_told = False  # to stop
        self._was_dead = False  # when it was sent an order, and had not been told to stop
        self._lost: deque[tuple[float, Lane]] = deque(maxlen=spec.threads)  # lanes lost while busy, and when
        self._told_at = 0.0  # when it was told to stop (event loop time)
        self._ends_by: float | None = None  # its deadline, once it was told
        self._is_free = False  # it had nothing to serve then
        self._asked: dict[int, Callable[[str], None]] = {}  # by the thread in question
        self._kept: set[socket.socket] = set()  # far ends of lanes, for `_KEPT` seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._pidfd: int | None = None

    async def start(self) -> None:
        """Also raises WaterspoutError: the process died, or was not ready in time."""
        self._loop = asyncio.get_running_loop()
        self._started: asyncio.Future[None] = self._loop.create_future()
        self._exited: asyncio.Future[None] = self._loop.create_future()
        try:
            self._spawn()
            self._tell(self._instruct())
            await asyncio.wait_for(self._started, self.spec.ready_timeout)
            await self._open_first_lanes()
        except TimeoutError:
            raise WaterspoutError(await self._end_late()) from None
        except OSError as error:
            self.kill()
            # EAGAIN of a process that runs is its own fault: it does not read its control channel.
            is_deaf = self._process is not None and isinstance(error, BlockingIOError)
            self.starved = is_shortage(error) and not is_deaf
            raise WaterspoutError(
                f"the WSGI process can't be started: {error}{describe_limit(error)}"
            ) from error
        except asyncio.CancelledError:
            self.kill()
            raise
        self.ready = True
        self.ready_at = self._loop.time()

    async def _open_first_lanes(self) -> None:
        try:
            await self._open_lanes(self.spec.threads)
        except (BrokenPipeError, ConnectionResetError):
            await asyncio.shield(self._exited)  # it has ended, or `_order` has killed it: its exit says more
        except OSError:
            if not self.gone:
                raise
        if self.gone:
            raise WaterspoutError(self._describe_early_end())

    async def _end_late(self) -> str:
        """Its time to load the app is up: kill it. Returns the error message."""
        try:
            place = await self.find_place()
        finally:
            self.kill()
        where = f"it was at {place}" if place else describe_place(place)
        seconds = self.spec.ready_timeout
        return f"the WSGI process was not ready within {seconds:.0f} s and was killed; {where}"

    async def stop(self, grace: float = EXIT_GRACE) -> None:
        now = asyncio.get_running_loop().time()
        if self._ends_by is None:
            self._told_at, self._ends_by, self._is_free = now, now + grace, not self.busy
        # Told again, by a stop of the whole pool: it gets no more time than it had.
        self._ends_by = min(self._ends_by, now + grace)
        self._close_lanes(stopped=True)
        if self.gone or self._process is None:
            return
        if self._untold:
            self.kill()  # in the middle of a frame nothing else can be sent
        if self.ended_here:  # how long the end of one that is killed takes is the kernel's affair
            await asyncio.shield(self._exited)
            return
        saying = self._loop.create_task(self._say_awaited())
        if not self._is_free:
            self.ping()
        silent = self._loop.create_task(self._end_silent())
        try:
            self._order(STOP)
            self._is_told = True
            await asyncio.wait_for(asyncio.shield(self._exited), self._ends_by - now)
        except (OSError, TimeoutError) as error:
            if isinstance(error, TimeoutError):
                await self._say_left(self._ends_by - self._told_at)
            self.kill()
            await asyncio.shield(self._exited)  # others are waiting for it, too
        finally:
            saying.cancel()
            silent.cancel()

    async def _end_silent(self) -> None:
        """A view that holds the interpreter lock keeps all other threads from ending, too.

        In steps, and what has come is read first: on a busy machine this process, or both, may stand still.
        """
        for _ in range(_STEPS):
            await asyncio.sleep(CUT_GRACE / _STEPS)
        if not self._is_free and not self.gone:
            self._on_control()
            if self.awaited:
                self.kill()

    async def _say_awaited(self) -> None:
        """Log what keeps it from ending, while there is time to do something about it."""
        await asyncio.sleep(END_SAID)
        left = await self.find_place(LEFT)
        if not left and self._is_free and not self.is_stopped:
            await asyncio.sleep(END_GUESSED)
            left = await self.find_place(LEFT)
        left = left or self._guess_left()
        remains = (self._ends_by or 0.0) - asyncio.get_running_loop().time()
        if left and remains > 0 and not self.gone:
            logger.info(
                "%s %sis still running: %s; waiting for at most %.0f s",
                self,
                "has nothing to serve but " if self._is_free else "",
                left,
                remains,
            )

    async def _say_left(self, grace: float) -> None:
        """It is still running. Log what is cut, as far as it can tell."""
        left = await self.find_place(LEFT)
        logger.warning(
            "%s %sdid not end within %g s and is killed: %s",
            self,
            "had nothing to serve but " if self._is_free else "",
            round(grace, 1),
            left or self._guess_left() or "it does not say what is still running",
        )

    def _guess_left(self) -> str:
        """What keeps it from ending, as it does not say so itself; "": nobody knows."""
        return STOPPED if self.is_stopped else _ENDING if self._is_free else ""

    def abandon(self) -> subprocess.Popen[bytes] | None:
        """As `Crew.abandon`; the closed channel tells the process to end."""
        super().abandon()
        self._let_go(*self._kept)
        if not self.gone and self._process is not None:
            self.gone = True
            self._control.close()
            if self._pidfd is not None:
                os.close(self._pidfd)
        return self._process

    def kill(self) -> None:
        """End the process at once, if nothing else has. From now on it is given nothing."""
        self.ended_here = self.ended_here or not self._was_dead
        self._kill()

    def dump_and_kill(self) -> None:
        """`kill` it after it has dumped where all of its threads are: faulthandler needs no lock for that."""
        assert self._process is not None
        self.ended_here = True
        self._take_nothing()
        self._process.send_signal(signal.SIGUSR1)
        self._loop.call_later(_LAST_WORDS, self._kill)

    def _on_lane_idle(self, lane: Lane) -> None:
        if not self.ended_here:  # what it is given now would be killed with it
            super()._on_lane_idle(lane)

    def _kill(self) -> None:
        self._take_nothing()
        if self._process is not None:
            self._process.kill()

    def _take_nothing(self) -> None:
        self.idle.clear()
        self.prefetch.stop()

    def ping(self) -> None:
        """Ask for a sign of life. Until it comes, `awaited` is true."""
        if not self.gone:
            self.awaited = True
            with contextlib.suppress(OSError):  # its channel is full: it is not reading
                self._order(PING)

    def locate(self, thread: int, tell: Callable[[str], None]) -> None:
        if self.gone or self._untold:
            return
        if thread not in self._asked:
            if len(self._asked) >= PLACES_ASKED:
                return  # more would fill the channel, and a ping would be lost
            try:
                self._order(WHERE, b"%d" % thread)
            except OSError:
                return  # as with a ping
        self._asked[thread] = tell

    @property
    def is_stopped(self) -> bool:
        """Whether somebody has stopped it, so that it can't answer."""
        return self.pid is not None and is_stopped(self.pid)

    def measure(self) -> int | None:
        """Its resident memory in bytes; None: unknown."""
        return None if self.pid is None else read_rss(self.pid)

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def _title(self) -> str:
        return f"WSGI process {self.pid or '(none)'}"

    # -- its birth ---------------------------------------------------------------------------------------

    def _spawn(self) -> None:
        control, far_end = socket.socketpair()
        self._control = reserve.move_socket(control)
        self._control.setblocking(False)
        # Blocked until the child has its own handlers: a Ctrl-C at this moment must not kill it.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, GROUP_SIGNALS)
        try:
            process = subprocess.Popen(
                build_command(far_end.fileno()),
                pass_fds=[far_end.fileno()],
                stdin=subprocess.DEVNULL,
                # If we may not enter that directory it doesn't matter: the process inherits ours.
                cwd=Home.path if Home.path and os.access(Home.path, os.X_OK) else None,
            )
        except BaseException:
            self._control.close()
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            far_end.close()
        self._process = process
        try:
            self._loop.add_reader(self._control, self._on_control)
            self._watch_exit(process)
        except (OSError, RuntimeError) as error:
            # The kernel watches no more descriptors, or allows no more threads: its end would go unnoticed.
            # So end it now.
            self._started.cancel()
            self.kill()
            self._on_exit(process)
            raise OSError(str(error)) from error

    def _instruct(self) -> bytes:
        """What it has to know before it loads the app: frames for the control channel."""
        names = self.spec.link.native
        frames = [pack(URLS, payload) for payload in names.pack()] if names.rules else []
        return b"".join([*frames, pack(SPEC, self._describe())])

    def _tell(self, data: bytes) -> None:
        """Send `data`, which may be more than the channel holds, as fast as the process takes it."""
        try:
            data = data[self._control.send(data) :]
        except BlockingIOError:
            pass
        except OSError:
            data = b""  # it has died: its exit says more
        self._loop.remove_writer(self._control)
        self._untold = bool(data)
        if data:
            self._loop.add_writer(self._control, self._tell, data)

    def _describe(self) -> bytes:
        spec = {
            "target": self.spec.target,
            "debug": self.spec.debug,
            "threads": self.spec.threads,
            "multiprocess": self.spec.multiprocess,
            "nice": self.spec.nice,
            "argv": sys.argv,
            "path": [entry for entry in sys.path if isinstance(entry, str)],  # imports skip others, too
            "log_level": logging.getLogger("waterspout").getEffectiveLevel(),
            "time_zone": TIME_ZONE,  # native code may have set another, which the process inherits
        }
        return json.dumps(spec).encode()

    # -- orders and news ---------------------------------------------------------------------------------

    def _order(self, kind: int, payload: bytes = b"", descriptors: tuple[int, ...] = ()) -> None:
        """Raises OSError when the process is dead, or so stuck that its channel is full."""
        frame = pack(kind, payload)
        try:
            sent = socket.send_fds(self._control, [frame], descriptors)
        except (BrokenPipeError, ConnectionResetError):
            assert self._process is not None
            is_dead = self._process.poll() is not None or is_ending(self._process.pid)
            self._was_dead = is_dead and not self._is_told
            self._is_deaf = not is_dead  # the app has taken it over (os.execv)
            self._kill()
            raise
        if sent < len(frame):
            self._is_deaf = True
            self._kill()  # after half an order it can't parse any other
            raise OSError("the control channel can't take so large an order")

    def _hand_over(self, far_end: socket.socket, backlog: BacklogEnd | None) -> None:
        more = () if backlog is None else backlog.descriptors
        self._order(LANE, descriptors=(far_end.fileno(), *more))
        if backlog is not None:
            backlog.close()
        if _KEPT:
            self._kept.add(far_end)
            self._loop.call_later(_KEPT, self._let_go, far_end)
        else:
            far_end.close()

    def _let_go(self, *far_ends: socket.socket) -> None:
        for far_end in far_ends:
            far_end.close()
        self._kept.difference_update(far_ends)

    def _on_control(self) -> bool:
        """Read once. False: there is nothing more."""
        try:
            data = self._control.recv(65536)
            frames = self._parser.feed(data)
        except BlockingIOError:
            return False
        except OSError:
            data, frames = b"", []
        except FrameError as error:  # nothing after it can be parsed
            logger.error("%s: its control channel carried data that Waterspout did not send: %s", self, error)
            self.kill()
            data, frames = b"", []
        if not data:
            self._loop.remove_reader(self._control)  # its exit, not this, shows that it is dead
        try:
            self._hear(frames)
        except (ValueError, KeyError):  # not ours: the app has written to the channel
            logger.error("%s: its control channel carried data that Waterspout did not send", self)
        return bool(data)

    def _hear(self, frames: list[tuple[int, bytes]]) -> None:
        for kind, payload in frames:
            if kind == PUBLISH:
                topic, _, message = payload.partition(b"\n")
                self._events.on_publish(topic.decode(), message)
            elif kind == PONG:
                self.awaited = False
            elif kind == PLACE:
                thread, _, place = payload.decode().partition(" ")
                if (tell := self._asked.pop(int(thread), None)) is not None:
                    tell(place)
            elif kind == SCANT:
                lanes, _, why = payload.decode().partition(" ")
                self._events.on_scant(self, int(lanes), why)
            elif kind == URLS:
                self._names = self._names or Names()
                self._names.unpack(payload)
            elif kind == READY:
                self.spec.link.learn(self._names)
                self._settle(None)
            elif kind == FAILED:
                self._settle(_parse_failure(payload))

    def _settle(self, error: Exception | None) -> None:
        if self._started.done():
            return
        if error is None:
            self._started.set_result(None)
        else:
            self._started.set_exception(error)

    # -- its death ---------------------------------------------------------------------------------------

    def _watch_exit(self, process: subprocess.Popen[bytes]) -> None:
        """Raises OSError, RuntimeError: its exit can't be watched."""
        try:
            self._pidfd = reserve.move(os.pidfd_open(process.pid))
        except (AttributeError, OSError):
            # macOS, a kernel before 5.3, a sandbox that forbids it: a thread waits.
            waiter = threading.Thread(target=self._wait_exit, args=(process,), daemon=True)
            waiter.start()
        else:
            self._loop.add_reader(self._pidfd, self._on_exit, process)

    def _wait_exit(self, process: subprocess.Popen[bytes]) -> None:
        process.wait()
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._on_exit, process)

    def _on_exit(self, process: subprocess.Popen[bytes]) -> None:
        status = process.wait()
        if self._pidfd is not None:
            self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
        self.gone = True
        self._let_go(*self._kept)  # now, so that its lanes can tell what nobody has read
        self.killed = status == -signal.SIGKILL and not self.ended_here
        while self._on_control():
            pass  # its last messages
        self._settle(WaterspoutError(self._describe_early_end()))
        self._loop.remove_reader(self._control)
        self._loop.remove_writer(self._control)
        self._control.close()
        # If it died while draining, it may have been stopped already: its lanes were seen to close first.
        self.crashed = self.ready and (self.killed or self._was_dead or not self._stopping)
        if self.crashed:
            self._say_crashed(status)
        self._close_lanes()
        self._exited.set_result(None)
        self._events.on_gone(self)

    def _describe_early_end(self) -> str:
        how = self._describe_end()
        if self._process is not None and self._process.wait() >= 0:
            how += " (if no line above says why, the app ended it: os._exit(), or C code)"
        return f"{self} ended before it was ready: {how}"

    def _describe_end(self) -> str:
        assert self._process is not None
        status = self._process.wait()
        if self.ended_here and status in (-signal.SIGKILL, -signal.SIGUSR1):
            return "killed by this server"
        if self._is_deaf and status == -signal.SIGKILL:
            return "killed, probably by this server: it no longer got orders (os.execv, closed descriptors)"
        return _describe_status(status)

    def _say_crashed(self, status: int) -> None:
        how = self._describe_end()
        how += " (the app ended it: os._exit(), or C code)" if status >= 0 else ""
        then = "; starting another"
        if self.draining or self._stopping or self.is_last:
            then = "; another has taken its place" if self.draining and not self.is_last else ""
        logger.error("%s ended: %s; it ran %s%s", self, how, self._describe_last(), then)

    def _on_lane_lost(self, lane: Lane) -> None:
        if lane.busy:
            self._lost.append((self._loop.time(), lane))
        super()._on_lane_lost(lane)

    def _describe_last(self) -> str:
        """What it ran when it died; its lanes may have been seen to close first."""
        now = self._loop.time()
        lanes = {*self.lanes, *(lane for at, lane in self._lost if now - at < _LAST_WORDS)}
        return describe_running(lane for lane in lanes if not lane.is_unread)


def _parse_failure(payload: bytes) -> Exception:
    failure = json.loads(payload)
    return _FAILURES.get(failure["kind"], WaterspoutError)(failure["text"])


def _describe_status(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    try:
        name = signal.Signals(-status).name
        return f"killed by {name}" + (" (often: out of memory)" if name == "SIGKILL" else "")
    except ValueError:
        return f"killed by signal {-status}"
