"""TLS between a client and a protocol (RFC 8446, RFC 5246): Python's `ssl`, on a plain transport.

An event loop's own TLS keeps what is written in buffers of its own: nobody learns how much of it the client
has taken. It throws away, without a word, what is written behind the client's end, tells that only to who
reads, has no half of a close, and waits for an answer to its own. This one holds nothing back: what is
written is encrypted and passed to the plain transport at once, and all that can be asked is asked of that.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Callable
from typing import Any, Final, cast

from tornado.log import app_log

from waterspout.http.gone import GONE
from waterspout.limits import TLS_HANDSHAKE_TIMEOUT
from waterspout.system.turns import Turns

#: The most bytes of a record (RFC 8446 section 5.1): no read brings more, and no larger piece is encrypted,
#: or OpenSSL would keep a buffer of its size.
_RECORD: Final = 16 * 1024
#: So many records are passed on in one turn of the loop: others must be served, too, however small they are.
_TURN: Final = 64
#: And what so many reads bring that could have brought more: uvloop reads 32 times in a turn.
_READS: Final = 4


class _Room(threading.local):
    """Where sockets are read into: what comes is copied to TLS at once. (For each thread, as each may have a
    loop.) A new object for each read costs more than all the rest, and a memory BIO keeps the size of the
    largest that it was given.
    """

    def __init__(self) -> None:
        self.whole = memoryview(bytearray(4 * _RECORD))


_room: Final = _Room()


class SecureTransport(asyncio.Transport, asyncio.BufferedProtocol):
    """The transport of a protocol from `make_protocol`, which is made when the handshake is done; and the
    protocol of the plain transport below it. `on_failure`: called with the reason if the handshake fails.
    `handshakes`: it is among these until its own is over, which goes on in `turns` with the others.

    A client that ends its side, by a close_notify or by the end of its connection, is an EOF.
    """

    def __init__(
        self,
        context: ssl.SSLContext,
        make_protocol: Callable[[], asyncio.Protocol],
        on_failure: Callable[[Exception], None],
        handshakes: set[SecureTransport],
        turns: Turns,
    ) -> None:
        super().__init__()
        self._make_protocol = make_protocol
        self._on_failure = on_failure
        self._handshakes = handshakes
        self._turns = turns
        self._arrived = ssl.MemoryBIO()
        self._leaving = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._arrived, self._leaving, server_side=True)
        self._plain: asyncio.Transport = GONE
        self._protocol: asyncio.Protocol | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._reads = 0  # that were full, one behind the other
        self._is_paused = False  # nothing is passed on
        self._is_ending = False  # nothing more is encrypted, nor decrypted
        self._has_ended = False  # the client's side has
        self._is_closed = False

    # -- the plain transport calls these -----------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._plain = cast(asyncio.Transport, transport)
        self._timer = asyncio.get_running_loop().call_later(TLS_HANDSHAKE_TIMEOUT, self._give_up)
        self._handshakes.add(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        return _room.whole

    def buffer_updated(self, nbytes: int) -> None:
        if self._has_ended:
            return  # RFC 8446 section 6.1: what comes behind a close_notify is ignored
        data = _room.whole[:nbytes]
        if self._is_ending:
            if self._protocol is not None:
                self._protocol.data_received(bytes(data))  # to be thrown away
            return
        self._arrived.write(data)
        if self._protocol is None:
            self._plain.pause_reading()
            self._turns.wait(self._take_turn)
            return
        self._pass_on()
        self._reads = self._reads + 1 if nbytes == len(_room.whole) else 0
        if self._reads == _READS:
            self._reads = 0
            if not (self._is_paused or self._plain.is_closing()):
                self._take_turns()

    def eof_received(self) -> bool:
        if self._protocol is None:
            return False
        if not self._has_ended:
            self._end()
        return not self._is_closed

    def pause_writing(self) -> None:
        if self._protocol is not None:
            self._protocol.pause_writing()

    def resume_writing(self) -> None:
        if self._protocol is not None:
            self._protocol.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        self._is_closed = self._is_ending = True
        protocol, self._protocol = self._protocol, None
        if protocol is not None:
            protocol.connection_lost(exc)
        else:
            self._fail(exc or ConnectionResetError("the client has left"))
        self._plain = GONE  # no reference cycle

    # -- the handshake -----------------------------------------------------------------------------------

    def _take_turn(self) -> None:
        if self._is_ending:
            return
        self._turns.count(1)
        try:
            is_done = self._shake_hands()
        except BaseException:
            self.abort()
            raise
        if is_done:
            self._go_on()
        elif not self._plain.is_closing():
            self._plain.resume_reading()

    def _shake_hands(self) -> bool:
        """Returns whether it is done."""
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._send()
            return False
        except (ssl.SSLError, ssl.CertificateError) as error:
            self._send()  # the alert that says why
            self._fail(error)
            self._is_ending = True
            self._plain.close()
            return False
        self._send()  # a ticket for the next connection
        self._stop_timer()
        self._protocol = self._make_protocol()
        self._protocol.connection_made(self)
        return True

    def _give_up(self) -> None:
        self._fail(TimeoutError("it takes too long"))
        self._plain.abort()

    def _fail(self, error: Exception) -> None:
        on_failure, self._on_failure = self._on_failure, _ignore
        on_failure(error)

    def _stop_timer(self) -> None:
        self._handshakes.discard(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # -- from the client ---------------------------------------------------------------------------------

    def _pass_on(self) -> None:
        """Pass on what has arrived, as long as the protocol reads."""
        read, arrived = self._tls.read, self._arrived
        try:
            # Not until it raises: that costs as much as all the rest for a small request.
            for _ in range(_TURN):
                if not (arrived.pending or self._tls.pending()) or self._is_paused or self._is_ending:
                    break
                if self._plain.is_closing():
                    # A write has failed, perhaps the handshake's last: who is about to be told of the end
                    # must get nothing new.
                    break
                data = read(_RECORD)
                if not data:
                    self._end()
                    break
                if self._protocol is not None:
                    self._protocol.data_received(data)
            else:
                self._take_turns()
        except ssl.SSLWantReadError:
            pass  # half a record
        except ssl.SSLZeroReturnError:
            self._end()
        except ssl.SSLError as error:
            app_log.debug("TLS ends with an error: %s", error)
            self._send()
            self.abort()
            return
        if self._leaving.pending:  # what TLS itself has to say: a new key, an alert
            self._send()
            self._take_turns()  # a client may ask for thousands of keys, and uvloop would read them all

    def _take_turns(self) -> None:
        """Read on in the loop's next turn."""
        self._plain.pause_reading()
        asyncio.get_running_loop().call_soon(self._go_on)

    def _end(self) -> None:
        self._has_ended = True
        self._arrived.read()  # nothing of it matters
        if self._protocol is not None and not self._protocol.eof_received():
            self.close()

    def pause_reading(self) -> None:
        self._is_paused = True
        self._plain.pause_reading()

    def resume_reading(self) -> None:
        if self._is_paused:
            self._is_paused = False
            if self._arrived.pending or self._tls.pending():
                asyncio.get_running_loop().call_soon(self._go_on)
            else:
                self._plain.resume_reading()

    def _go_on(self) -> None:
        try:
            if not (self._is_ending or self._has_ended):
                self._pass_on()
        except BaseException:
            self.abort()  # as a transport does whose protocol fails
            raise
        has_more = (self._arrived.pending or self._tls.pending()) and not self._is_ending
        if not (self._is_paused or has_more or self._plain.is_closing()):
            self._plain.resume_reading()

    def is_reading(self) -> bool:
        return not self._is_paused and self._plain.is_reading()

    # -- to the client -----------------------------------------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt and send. After `write_eof` or `close`, or when the connection is lost: do nothing."""
        if self._is_ending:
            return
        try:
            if len(data) <= _RECORD:
                self._tls.write(data)
                self._plain.write(self._leaving.read())
                return
            rest, pieces = memoryview(data), []
            while rest:
                rest = rest[self._tls.write(rest[:_RECORD]) :]
                pieces.append(self._leaving.read())
        except ssl.SSLError as error:
            app_log.debug("TLS can't encrypt: %s", error)
            self.abort()
            return
        self._plain.write(b"".join(pieces))

    def _send(self) -> None:
        if self._leaving.pending:
            self._plain.write(self._leaving.read())

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        """End our side. What still arrives is passed on as it is, encrypted: it can only be thrown away."""
        if not self._is_ending:
            self._say_goodbye()
            self._plain.write_eof()

    def close(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        if not self._is_ending:
            self._say_goodbye()
        self._plain.close()

    def _say_goodbye(self) -> None:
        """Send a close_notify (RFC 8446 section 6.1): the client knows that it has everything."""
        self._is_ending = True
        with contextlib.suppress(ssl.SSLError, ValueError):  # the client's own has not come
            self._tls.unwrap()
        self._send()

    def abort(self) -> None:
        self._is_closed = self._is_ending = True
        self._plain.abort()

    def is_closing(self) -> bool:
        return self._is_closed or self._plain.is_closing()

    def get_write_buffer_size(self) -> int:
        return self._plain.get_write_buffer_size()

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._plain.get_write_buffer_limits()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._plain.set_write_buffer_limits(high, low)

    # -- who is who --------------------------------------------------------------------------------------

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """As an event loop's own TLS: `ssl_object`, `peercert`, `cipher`, and what the plain one knows."""
        if name == "ssl_object":
            return self._tls
        if name == "sslcontext":
            return self._tls.context
        if name == "peercert":
            return self._tls.getpeercert()
        if name == "cipher":
            return self._tls.cipher()
        return self._plain.get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = cast(asyncio.Protocol, protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol or self


def _ignore(error: Exception) -> None:
    """It has been told."""
