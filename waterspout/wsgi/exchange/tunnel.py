"""A connection that a view has taken over: it speaks WebSocket, or anything else, to the client itself."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Final

from tornado.iostream import IOStream, SSLIOStream, StreamClosedError

from waterspout.limits import LINGER, TURNS_AT_ONCE
from waterspout.message.frame_ends import GOING_AWAY, FrameEnds
from waterspout.message.record import Record
from waterspout.system.turns import TurnsByLoop
from waterspout.wsgi.exchange.reply import Reply
from waterspout.wsgi.exchange.spool import tell_nobody
from waterspout.wsgi.exchange.upload import Upload

#: How much is read from the client in a turn of the event loop (bytes): as much as a view takes at once. Its
#: frames are looked for one by one, and may be tiny.
_PIECE: Final = 16 * 1024
_turns: Final = TurnsByLoop(TURNS_AT_ONCE)


class Tunnel(Reply):
    """Takes the place of a request's `Reply`: what the view sends goes to `stream` as it is.

    `upload` takes what the client sends; `on_left` is called if the client has gone and the view sends more;
    `write_timeout`: see `Reply`. Attributes: `finished`, nothing more goes to the client.
    """

    begun = True
    _ending: asyncio.Task[None] | None = None

    def __init__(
        self,
        stream: IOStream,
        record: Record,
        upload: Upload,
        on_left: Callable[[], None],
        write_timeout: float,
    ) -> None:
        self._stream = stream
        self._record = record
        self._upload = upload
        self._on_left = on_left
        self._write_timeout = write_timeout
        self.finished = False
        self._is_quiet = False  # nothing has passed, in either direction, since this was set
        self._frames = FrameEnds()
        stream.set_nodelay(True)
        self._reading = asyncio.get_running_loop().create_task(self._read())

    @property
    def write_timeout(self) -> float:
        return self._write_timeout

    async def _read(self) -> None:
        turns = _turns.find()
        try:
            while True:
                data = await self._stream.read_bytes(_PIECE, partial=True)
                await turns.come()
                self._is_quiet = False
                self._frames.feed(data)
                room = self._upload.receive(data)  # which discards it, once it is `finished`
                # What the kernel has comes without a wait: what nobody wants would be read for ever.
                await (asyncio.sleep(0) if room is None else room)
        except StreamClosedError as closed:
            if closed.real_error is None:
                self._upload.end()  # most often, the client closes behind the Close of both sides
            else:
                # The stream keeps it, and its frames the stream, with what they were sending.
                closed.real_error.__traceback__ = None
                self._leave()

    def _leave(self) -> None:
        on_left = self._on_left
        self._end_once()
        on_left()

    def _end_once(self) -> bool:
        """False: it has ended before."""
        is_first, self.finished = not self.finished, True
        self._on_left = tell_nobody  # more than once; and its owner refers to us: else a cycle
        self._upload.discard()  # what still comes
        return is_first

    def write(self, data: bytes) -> None:
        """What the view has sent. Use `when_flushed` to learn when to write more."""
        self._is_quiet = False
        self._record.bytes_sent += len(data)
        try:
            self._stream.write(data)
        except StreamClosedError:
            asyncio.get_running_loop().call_soon(self._leave)  # unless that was the last

    def wind_up(self) -> None:
        """Once nothing has passed between two calls of this, tell the view that the client sends no more.

        Before, in the client's name, that it goes away: a WebSocket library tells that to the view and, as
        its answer, to the client.
        """
        if self._is_quiet and not self._upload.whole:
            if self._frames.is_between:
                self._upload.receive(GOING_AWAY)
            self._upload.end()
        self._is_quiet = True

    def when_flushed(self, callback: Callable[[], None]) -> bool:
        if self._stream.closed():
            return True
        flushed = self._stream.write(b"")
        if flushed.done():
            return True
        flushed.add_done_callback(lambda _: callback())
        return False

    def finish(self) -> None:
        """Close, once the client has taken everything."""
        if self._end_once():
            self._ending = asyncio.get_running_loop().create_task(self._end())

    finish_later = finish

    def discard(self, size: int) -> bool:
        return False

    async def _end(self) -> None:
        """Wait for the client to close, too. The last that it sends is the answer to a Close: unread, it
        would make the kernel reset the connection, and what the client has not read could be lost.
        """
        stream = self._stream
        with contextlib.suppress(StreamClosedError, TimeoutError, OSError):
            await asyncio.wait_for(stream.write(b""), self._write_timeout)
            if not (stream.closed() or isinstance(stream, SSLIOStream)):  # it has no half of a close
                stream.socket.shutdown(socket.SHUT_WR)
                await asyncio.wait_for(self._reading, LINGER)
        stream.close()

    def cut(self, *, at_once: bool = False) -> None:
        """Close now; what has not gone out is lost. `at_once` changes nothing."""
        self._end_once()
        self._stream.close()
