"""One WebSocket, from the 101 to the end: to the event loop an asyncio protocol, to the handler what
Tornado's `WebSocketProtocol` is.

Nothing here waits. While the handler does not keep up, a little is buffered, and then reading stops.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import sys
from collections.abc import Callable
from socket import AF_INET, AF_INET6, IPPROTO_TCP, TCP_NODELAY
from typing import Any, Final, cast

import tornado.websocket
from tornado.escape import json_encode, utf8
from tornado.gen import convert_yielded
from tornado.log import gen_log
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from waterspout.limits import LINGER, OPEN_SAID, WRITE_TIMEOUT
from waterspout.system.fatal import contain_exit, ends_more, find_failure
from waterspout.system.secure_socket import find_socket
from waterspout.system.turns import TurnsByLoop
from waterspout.websocket import frames
from waterspout.websocket.deflate import Deflater
from waterspout.websocket.frames import ProtocolError
from waterspout.websocket.handshake import answer, take_over
from waterspout.websocket.keepalive import KeepAlive
from waterspout.websocket.late import tell_late
from waterspout.websocket.seen import SeenStream
from waterspout.websocket.writer import FrameWriter

#: How much may arrive while the handler is busy with a message; past that nothing is read (bytes).
READ_AHEAD: Final = 64 * 1024
#: How much work one client gets in one turn of the event loop, where each frame counts as FRAME_COST bytes
#: more: 32 small ones, which leave a turn's own cost invisible, and other clients little to wait for (bytes).
TURN: Final = 256 * 1024
FRAME_COST: Final = 8 * 1024
#: How much work those who wait for their turn get together in an iteration of the event loop: 10 KiB on the
#: wire may be a message of the largest size, which takes 25 ms to decompress, and fifty a second (bytes).
TURNS: Final = 4 * TURN
_turns: Final = TurnsByLoop(TURNS)
#: The client has this long to answer a close frame, and to take what is still unsent: Tornado's (seconds).
CLOSE_TIMEOUT: Final = 5.0


class WebSocketProtocol(asyncio.Protocol):
    """The connection of `handler`, whose properties and options are those of Tornado's `WebSocketHandler`.

    Attributes: `selected_subprotocol`; `upgraded`, HTTP is over; `client_terminated`, nothing that the client
    still sends matters; `close_code` and `close_reason`, as the client has sent them; `is_stopped`, set by
    who closes it because the server stops: then what its handler can't send, or finish, is no mistake.
    """

    __slots__ = (
        "__weakref__",
        "_busy",
        "_context",
        "_deflater",
        "_end_timer",
        "_ending",
        "_eof",
        "_given_up",
        "_gone",
        "_handling",
        "_held",
        "_keep_alive",
        "_lost",
        "_parser",
        "_reading_paused",
        "_scheduled",
        "_transport",
        "_turns",
        "_unheard",
        "_writer",
        "client_terminated",
        "close_code",
        "close_reason",
        "handler",
        "is_stopped",
        "selected_subprotocol",
        "upgraded",
    )

    def __init__(self, handler: WebSocketHandler) -> None:
        self.handler = handler
        self.selected_subprotocol: str | None = None
        self.upgraded = False
        self.client_terminated = False
        self.close_code: int | None = None
        self.close_reason: str | None = None
        self.is_stopped = False
        self._busy = True  # `open` or a callback is running
        self._scheduled = False  # the rest of what has arrived is for the next turn of the loop
        self._held = 0  # what the application's buffer has of a message that came in pieces
        self._unheard = False  # the client has asked for much, and reads too little of it
        self._reading_paused = False
        self._eof = False
        self._lost = False
        self._ending = False  # the handler hears of that in the next turn of the loop
        self._deflater: Deflater | None = None
        self._keep_alive: KeepAlive | None = None
        self._end_timer: asyncio.TimerHandle | None = None
        self._handling: asyncio.Future[Any] | None = None
        self._given_up = False
        self._gone: asyncio.Future[None] | None = None

    # -- the handler calls these -------------------------------------------------------------------------

    async def accept_connection(self, handler: WebSocketHandler) -> None:
        """Answer the handshake, take over the connection, and run `open`: messages wait until it is done.

        A handler with its own `get` continues there after `on_close`, as with Tornado.
        """
        agreed = answer(handler)
        if agreed is None:
            handler.ws_connection = None
            return
        self.selected_subprotocol, self._parser, self._deflater = agreed
        take_over(handler, self)
        # Other handlers have nothing to do then; and a waiting coroutine costs an idle connection 2.4 KiB.
        is_wrapped = type(handler).get is not WebSocketHandler.get
        self._gone = asyncio.get_running_loop().create_future() if is_wrapped else None
        is_collected = False
        try:
            await self._open(handler)
        except GeneratorExit:
            is_collected = True  # the event loop has been closed: what has arrived is nobody's any more
            raise
        finally:
            # As with Tornado, callbacks see the context variables that `prepare` and `open` have set.
            self._context = contextvars.copy_context()
            self._busy = False
            if not is_collected:
                self._advance()
        if self._gone is not None:
            await self._wait_gone(self._gone)

    def write_message(
        self, message: str | bytes | dict[str, Any], binary: bool = False
    ) -> asyncio.Future[None]:
        """Send a message. The future is done when there is room for more, or fails: WebSocketClosedError.

        Raises WebSocketClosedError: the connection is closing. Raises StreamBufferFullError: more would be
        unsent than `write_limit`.
        """
        if self.is_closing():
            raise WebSocketClosedError()
        payload = utf8(json_encode(message) if isinstance(message, dict) else message)
        return self._writer.send_message(frames.BINARY if binary else frames.TEXT, payload)

    def write_ping(self, data: bytes) -> None:
        """Send a ping. Raises ValueError: more than 125 bytes."""
        self._writer.send_control(frames.PING, data)

    def close(self, code: int | None = None, reason: str | None = None) -> None:
        """Send a close frame, once; the connection ends with the client's, or in CLOSE_TIMEOUT.

        Raises ValueError: the reason has more than 123 bytes.
        """
        if self.upgraded and not self._writer.closed:
            self._writer.send_close(code, reason)
            self._end_within(CLOSE_TIMEOUT)

    @property
    def server_terminated(self) -> bool:
        """Whether nothing more may be sent."""
        return not self.upgraded or self._writer.closed or self._transport.is_closing()

    def is_closing(self) -> bool:
        """Whether the server has said that it closes, or the handler knows that the client has left, or would
        not hear of it soon; or the connection is not yet open.

        What is written in the moment before `on_close` is lost without an error: a message to all must not
        fail by one whom its handler still counts among them.
        """
        if self.is_over or self._writer.closed:
            return True
        return self._transport.is_closing() and (self.is_behind or self.unsent > 0)

    @property
    def is_over(self) -> bool:
        """Whether the connection has ended, and the handler knows it, or has not begun."""
        return (self._lost and not self._ending) or not self.upgraded

    @property
    def unsent(self) -> int:
        """What has been written but not yet taken by the kernel (bytes)."""
        return 0 if self._lost or not self.upgraded else self._writer.unsent

    @property
    def write_limit(self) -> int | None:
        """How many bytes may be unsent when a message is sent; None: any number."""
        return self._writer.limit

    @write_limit.setter
    def write_limit(self, size: int | None) -> None:
        self._writer.limit = size

    @property
    def client_has_left(self) -> bool:
        """Whether the client has ended the connection, or sends no more, not even the answer to a close."""
        return self._eof or (self._lost and not self._given_up)

    @property
    def is_handling(self) -> bool:
        """Whether a callback of the handler's has begun with what the client has sent, and is not done."""
        return self._handling is not None

    def cut(self) -> None:
        """Cancel that callback: the server stops, and can't wait for it any longer."""
        if self._handling is not None:
            self.is_stopped = True
            self._handling.cancel()

    def set_nodelay(self, x: bool) -> None:
        """Set whether small messages go out at once. asyncio has them do so from the start."""
        sock = self.socket
        if sock is not None and sock.family in (AF_INET, AF_INET6):
            with contextlib.suppress(OSError):  # macOS: EINVAL, the client has left
                sock.setsockopt(IPPROTO_TCP, TCP_NODELAY, int(x))

    @property
    def socket(self) -> Any:
        """For its names and options. None: the connection has ended, or has not begun."""
        return None if self.is_over or self._transport.is_closing() else find_socket(self._transport)

    @property
    def stream(self) -> SeenStream:
        """The part of Tornado's `WebSocketProtocol.stream` that handlers and libraries use."""
        return SeenStream(self)

    def on_connection_close(self) -> None:
        """The client left, or the handler says so."""
        self._abort()

    # -- asyncio calls these -----------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own class is not registered as one
        timeout = getattr(self.handler.request.connection, "write_timeout", WRITE_TIMEOUT)
        self._writer = FrameWriter(self._transport, self._deflater, timeout)
        self._turns = _turns.find()
        self.upgraded = True

    def data_received(self, data: bytes) -> None:
        if self.client_terminated:
            return
        self._parser.feed(data)
        self._advance()

    def eof_received(self) -> bool:
        """The client sends no more. What it has sent is passed on before the connection closes."""
        self._eof = True
        if self.is_behind:
            return True
        self._writer.pass_on()
        self._writer.watch()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        self._unheard = False
        self._stop_timers()
        self._writer.lose()
        self._settle()
        self._hold(0)

    def pause_writing(self) -> None:
        self._writer.pause()

    def resume_writing(self) -> None:
        if self._writer.holds:
            # If a write fails during this call, asyncio's transport ends twice, and logs that.
            asyncio.get_running_loop().call_soon(self._on_room)
        else:
            self._on_room()

    def _on_room(self) -> None:
        if self._writer.resume() and self._unheard:
            self._unheard = False
            self._go_on_later()

    # -- from the client to the handler ------------------------------------------------------------------

    async def _open(self, handler: WebSocketHandler) -> None:
        if handler._on_close_called:
            self.client_terminated = True  # it left in `prepare`: nothing is opened behind `on_close`
            return
        is_nobody_s = self._transport.is_closing()  # its client left; `on_close` may need what `open` makes
        interval = handler.ping_interval or 0
        if interval > 0 and not is_nobody_s:
            self._keep_alive = KeepAlive(self, interval, handler.ping_timeout)
        try:
            opened = handler.open(*handler.open_args, **handler.open_kwargs)
            if opened is not None:
                late = asyncio.get_running_loop().call_later(OPEN_SAID, tell_late, handler)
                try:
                    await opened
                finally:
                    late.cancel()
        except BaseException as error:
            if is_nobody_s and isinstance(error, WebSocketClosedError):
                return
            task = getattr(handler.request.connection, "task", None)
            if isinstance(error, asyncio.CancelledError) and _is_cancelled(task):
                self._abort()
                raise
            if ends_more(error, task):
                raise
            self._on_failure(error)

    async def _wait_gone(self, gone: asyncio.Future[None]) -> None:
        """Wait until `on_close` has been called. A caller cancelled here, by a timeout for example, cuts the
        connection, as with Tornado, and continues after that all the same.
        """
        try:
            await asyncio.shield(gone)
        except asyncio.CancelledError:
            self._abort()
            await asyncio.shield(gone)

    @property
    def is_behind(self) -> bool:
        """What arrives now waits for what came before, or until the client has read the answers to that."""
        return self._busy or self._scheduled or self._unheard

    def _advance(self) -> None:
        """Pass on what has arrived, as long as the handler keeps up and others are not kept waiting."""
        work = 0
        if self._turns.are_over and not self.is_behind:
            self._go_on_later()
        try:
            while not (self.is_behind or self.client_terminated):
                frame = self._parser.next_frame()
                if frame is None:
                    break
                _ACTIONS[frame.opcode](self, frame.payload)
                work += FRAME_COST + len(frame.payload)
                if work > TURN:
                    self._go_on_later()
        except ProtocolError as error:
            gen_log.debug("WebSocket closed with %d: %s", error.code, error)
            self._fail(error.code, str(error))
            work += self.handler.max_message_size  # decompressed, perhaps, before it was found to be too big
        self._turns.count(work)
        if self._parser.begun != self._held and not (self._busy or self._lost or self.client_terminated):
            self._hold(self._parser.begun)
        self._settle()

    def _hold(self, size: int) -> None:
        """Make that what the application's buffer has of the message."""
        space = getattr(self.handler.application, "native_buffer", None)
        more = size - self._held
        if space is None or not more:
            return
        if more < 0:
            space.give_back(-more)
        elif not space.take(more, self._held):
            self._fail(frames.TRY_AGAIN_LATER, "no room for messages")
            return
        self._held = size

    def _go_on_later(self) -> None:
        if not self._scheduled:  # the client may have begun to read in the middle of its turn
            self._scheduled = True
            self._turns.wait(self._take_turn)

    def _take_turn(self) -> None:
        self._scheduled = False
        self._advance()

    def _settle(self) -> None:
        """Resume or pause reading; end when the client is gone and all that it had sent is passed on."""
        if self.is_behind:
            self._pause_reading(self._parser.held > READ_AHEAD)
        elif self._lost:
            # In a turn of its own: a task that `open` or `on_message` has created would begin behind it.
            self._ending = True
            asyncio.get_running_loop().call_soon(self._end)
        elif self._eof:
            self._writer.pass_on()
            self._writer.watch()
            self._transport.close()
        else:
            self._pause_reading(False)

    def _pause_reading(self, paused: bool) -> None:
        if paused == self._reading_paused or self._transport.is_closing():
            return
        self._reading_paused = paused
        if paused:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def _run(self, callback: Callable[[Any], Any], argument: Any) -> None:
        """Call the handler; if it returns something to wait for, go no further until that is done."""
        try:
            future = self._context.run(_call, callback, argument)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            self._context.run(self._on_failure, error)
            return
        if future is None:
            return
        if future.done():
            self._judge(future)
        else:
            self._busy = True
            self._handling = future
            future.add_done_callback(self._on_handled)

    def _on_handled(self, future: asyncio.Future[Any]) -> None:
        self._busy = False
        self._handling = None
        self._judge(future)
        self._advance()

    def _judge(self, future: asyncio.Future[Any]) -> None:
        error = find_failure(future)
        if error is not None:
            self._context.run(self._on_failure, error)

    def _on_failure(self, error: BaseException) -> None:
        if self.is_stopped and isinstance(error, WebSocketClosedError):
            return
        if not (self.is_stopped and isinstance(error, asyncio.CancelledError)):
            self.handler.log_exception(type(error), error, error.__traceback__)
        self._fail(frames.INTERNAL_ERROR, "")

    def _on_fragment(self, payload: bytes) -> None:
        """The parser keeps it."""

    def _on_message(self, payload: str | bytes) -> None:
        self._run(self.handler.on_message, payload)
        self._unheard = self._writer.is_full()

    def _on_ping(self, payload: bytes) -> None:
        self._writer.answer_ping(payload)
        self._run(self.handler.on_ping, payload)

    def _on_pong(self, payload: bytes) -> None:
        if self._keep_alive is not None:
            self._keep_alive.on_pong()
        self._run(self.handler.on_pong, payload)

    def _on_close(self, payload: bytes) -> None:
        self.close_code, self.close_reason = frames.parse_close(payload)
        self.client_terminated = True
        self._writer.answer_close(self.close_code)
        self._end_within(CLOSE_TIMEOUT)  # from now on, if its close frame has crossed ours
        self._transport.close()

    # -- endings -----------------------------------------------------------------------------------------

    def _fail(self, code: int, reason: str) -> None:
        """Send the reason, and close (RFC 6455 section 7.1.7).

        What the client still sends is discarded for a moment: unread bytes make the kernel send a reset,
        which can destroy the close frame.
        """
        self._writer.send_close(code, reason)
        self.client_terminated = True
        self._end_within(LINGER)
        if self._transport.is_closing():
            return
        with contextlib.suppress(OSError):  # it has reset the connection: nobody reads our answer
            self._transport.write_eof()

    def _end_within(self, delay: float) -> None:
        self._stop_timers()
        if not self._lost:
            self._end_timer = asyncio.get_running_loop().call_later(delay, self._give_up)

    def _give_up(self) -> None:
        """The time to answer a close frame is over. While a message is in hand, no answer is even read."""
        self._given_up = True
        self._abort()

    def _stop_timers(self) -> None:
        """Stop the timers and drop them: they refer to what they would call."""
        keep_alive, self._keep_alive = self._keep_alive, None
        if keep_alive is not None:
            keep_alive.stop()
        timer, self._end_timer = self._end_timer, None
        if timer is not None:
            timer.cancel()

    def _abort(self) -> None:
        """Cut the connection; what is unsent is lost."""
        self.client_terminated = True
        if self.upgraded and not self._lost:
            self._writer.closed = True
            self._transport.abort()

    def _end(self) -> None:
        self._ending = False
        try:
            self._context.run(self.handler.on_ws_connection_close, self.close_code, self.close_reason)
        except KeyboardInterrupt:
            raise
        except BaseException:
            self._context.run(self.handler.log_exception, *sys.exc_info())
        if self._gone is not None and not self._gone.done():
            self._gone.set_result(None)


# For `isinstance`. It has nothing to inherit, and its instances have a `__dict__`.
tornado.websocket.WebSocketProtocol13.register(WebSocketProtocol)

_ACTIONS: Final[dict[int, Callable[[WebSocketProtocol, Any], None]]] = {
    frames.CONTINUATION: WebSocketProtocol._on_fragment,
    frames.TEXT: WebSocketProtocol._on_message,
    frames.BINARY: WebSocketProtocol._on_message,
    frames.CLOSE: WebSocketProtocol._on_close,
    frames.PING: WebSocketProtocol._on_ping,
    frames.PONG: WebSocketProtocol._on_pong,
}


def _is_cancelled(task: asyncio.Future[Any] | None) -> bool:
    """Whether the handler's task was cancelled, and not only something that it waits for. On Tornado's own
    server the handler's task is not known, but it is the one that runs.
    """
    task = task or asyncio.current_task()
    return isinstance(task, asyncio.Task) and task.cancelling() > 0


def _call(callback: Callable[[Any], Any], argument: Any) -> asyncio.Future[Any] | None:
    result = callback(argument)
    if result is None:
        return None
    return convert_yielded(contain_exit(result) if asyncio.iscoroutine(result) else result)
