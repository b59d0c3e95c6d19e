"""The connection of a client that asks for a WebSocket, for a view that speaks the protocol itself. Leaf.

flask-sock, simple-websocket and Flask-SocketIO take the socket that Werkzeug's server leaves in the environ.
Here the socket is in another process, and its bytes travel on the request's lane.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from errno import EPIPE
from typing import Final, TypeAlias

from waterspout.limits import DATA_FRAME, LANE_READ
from waterspout.wsgi.frames import DATA, END, SWITCH, WHOLE, pack, pack_read
from waterspout.wsgi.worker.inbox import Lane

#: Where a request's environ holds it: by the name that Werkzeug's own server gives it.
SOCKET: Final = "werkzeug.socket"

#: What one call of `recv` takes at most (bytes). With a frame for each packet of the client's it fits into
#: the lane, and into one look: a view that asks and then only sends sees the CANCEL that comes behind.
_TAKEN_AT_ONCE: Final = LANE_READ // 4

_Bytes: TypeAlias = bytes | bytearray | memoryview


class RawSocket:
    """The part of a blocking `socket.socket` that a WebSocket library needs.

    The first byte sent takes the connection over: what the view returns goes nowhere, and the connection ends
    with `close`, or with the request. `take_over` returns whether that is still possible. One thread may
    read while another sends.
    """

    def __init__(self, lane: Lane, take_over: Callable[[], bool]) -> None:
        self._lane = lane
        self._inbox = lane.inbox
        self._take_over = take_over
        self._turn = threading.Lock()
        self._is_taken = False
        self._is_closed = False
        self._asked = 0  # credit that the event loop was given and has not used up

    def send(self, data: _Bytes, flags: int = 0) -> int:
        """Send all of `data`; blocks while the client is slow. Returns its size in bytes.

        Raises BrokenPipeError: the client is gone, or the request is over, or has been answered otherwise.
        """
        view = memoryview(data).cast("B")
        if not view:
            return 0
        with self._turn:
            frames = b""
            if not self._is_taken:
                if self._is_closed or not self._take_over():
                    raise BrokenPipeError(EPIPE, "the request has been answered")
                self._is_taken = self._inbox.is_raw = True
                # One byte: a view that waits in a selector must see that something has come.
                frames, self._asked = pack(SWITCH) + pack_read(1), 1
            for start in range(0, len(view), DATA_FRAME):
                self._say(frames + pack(DATA, bytes(view[start : start + DATA_FRAME])))
                frames = b""
        return len(view)

    def sendall(self, data: _Bytes, flags: int = 0) -> None:
        """As `send`."""
        self.send(data, flags)

    def _say(self, frames: bytes) -> None:
        if self._is_closed or self._inbox.cancelled or not self._lane.say(frames):
            raise BrokenPipeError(EPIPE, self._inbox.cancelled or "the client left")

    def recv(self, size: int, flags: int = 0) -> bytes:
        """At most `size` bytes, as soon as there are any; b"": the client sends no more, or is gone, or the
        request is over.
        """
        inbox = self._inbox
        size = min(size, _TAKEN_AT_ONCE)
        while not inbox.pieces:
            if self._is_closed or inbox.cancelled or inbox.ended:
                return b""
            self._ask(size)
            self._lane.receive(inbox)
        data = b"".join(inbox.pieces)
        inbox.pieces.clear()
        self._asked -= len(data)
        if data[size:]:
            inbox.pieces.append(data[size:])
        if not inbox.ended:
            # Never more than one call takes: what is here, and not on the lane, a selector does not see.
            self._ask(size - len(data[size:]))
        return data[:size]

    def _ask(self, credit: int) -> None:
        with self._turn:  # once this is closed, the lane may run another request
            if credit > self._asked and not self._is_closed:
                self._lane.ask(credit - self._asked)
                self._asked = credit

    def fileno(self) -> int:
        """A descriptor that is readable when `recv` would not block; -1: it is closed."""
        return -1 if self._is_closed else self._lane.fileno()

    def shutdown(self, how: int) -> None:
        """As `close`, whichever direction: a WebSocket has no use for half of a connection."""
        self.close()

    def close(self) -> None:
        """Close the connection, if this has taken it over. Whatever is called later has no effect."""
        with self._turn:
            if self._is_taken and not self._is_closed:
                self._lane.say(pack(END, WHOLE))
            self._is_closed = True
