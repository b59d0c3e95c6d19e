"""A reply whose client is slower than the app: what the client has not taken yet waits in a spool."""

from __future__ import annotations

from collections.abc import Callable

from waterspout.wsgi.exchange.reply import Reply
from waterspout.wsgi.exchange.spool import Spool, SpoolSpace, tell_nobody


class Download:
    """From the lane through a spool to `reply`, in order, as the client takes it. `limit`: the spool's, in
    `space` (bytes).

    `on_drained` is called when all that came has gone to the reply, and its `end` has come, or there is room
    for more; or when the spool is broken. `on_room`: the spool may no longer be full. `on_failure`, once:
    why nothing more goes to the disk; what is in memory still goes to the reply.

    Attributes: `spool`; `end`, how the worker ended the reply, None before that.
    """

    def __init__(
        self,
        reply: Reply,
        space: SpoolSpace,
        limit: int,
        on_drained: Callable[[], None],
        on_room: Callable[[], None],
        on_failure: Callable[[OSError], None],
    ) -> None:
        self._reply = reply
        self._on_drained = on_drained
        self._on_room = on_room
        self._on_failure: Callable[[OSError], None] | None = on_failure
        self._waits = True  # a download begins because the reply has no room
        self._closed = False
        self.end: bytes | None = None
        self.spool = Spool(space, limit, self.pump)

    def put(self, data: bytes) -> None:
        """More of the reply's body."""
        self.spool.put(data)
        self.pump()

    def room(self) -> None:
        """The client has taken what was written."""
        self._waits = False
        self.pump()

    def pump(self) -> None:
        """Write as much as the client takes."""
        # Once closed, it would wait for room behind each later reply of the connection.
        while not (self._waits or self._closed):
            if not self._reply.when_flushed(self.room):
                self._waits = True
                break
            piece = self.spool.get()
            if not piece:
                break
            self._reply.write(piece)
        if self.spool.failed is not None and self._on_failure is not None:
            on_failure, self._on_failure = self._on_failure, None
            on_failure(self.spool.failed)
        is_drained = not self.spool.size and (self.end is not None or not self._waits)
        if is_drained or self.spool.broken is not None:
            self._on_drained()
        elif not self.spool.is_full:
            self._on_room()

    def close(self) -> None:
        """Nobody takes the rest."""
        self._closed = True
        self.spool.close()
        self._on_drained = self._on_room = tell_nobody  # their owner refers to us: else a cycle
        self._on_failure = None
