"""publish(): from any thread of any process of the server, without ever waiting.

A process has one outbox while it serves: in the event loop's process it is emptied by the loop itself, in a
WSGI process by the thread that writes to the control channel.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final

from waterspout.exceptions import NotServing
from waterspout.limits import MESSAGE_SIZE, OUTBOX_MESSAGES, OUTBOX_SIZE

logger = logging.getLogger("waterspout.hub")

_MAX_TOPIC: Final = 255

#: The error message where nothing takes messages.
OUTSIDE: Final = (
    "publish() needs a running Waterspout server: it works in views and handlers served by "
    "`waterspout serve`, not in a script, a shell, a forked child or a bare test client: "
    "docs/native.md#publishing-from-elsewhere, and waterspout.testing.published() for tests"
)


class Outbox:
    """Encoded messages on their way to the event loop: at most `limit` of them, of `size` bytes in total; the
    oldest are dropped when it is full. No message is larger than an eighth of `size`.

    `wake`: called after a message was added, from the publishing thread; must not block.
    """

    def __init__(
        self, wake: Callable[[], object], limit: int = OUTBOX_MESSAGES, size: int = OUTBOX_SIZE
    ) -> None:
        self._wake = wake
        # No lock: the garbage collector may run during a call and free a handler, and that may publish.
        self._messages: deque[tuple[str, bytes]] = deque(maxlen=limit)
        self._size = size
        self._held = 0  # their size in bytes, roughly: simultaneous changes by threads may be lost
        self._dropping = False
        self.pid = os.getpid()

    def put(self, topic: str, message: bytes) -> None:
        """Add a message. Never blocks: `deque.append` is atomic and drops from the other end when full."""
        if len(self._messages) == self._messages.maxlen:
            self._drop_oldest()
        self._messages.append((topic, message))
        self._held += len(message)
        if self._held > self._size:
            self._make_room()
        self._wake()

    def take(self) -> tuple[str, bytes] | None:
        """Remove and return the oldest message, or None."""
        try:
            taken = self._messages.popleft()
        except IndexError:
            self._held = 0
            self._dropping = False
            return None
        self._held -= len(taken[1])
        return taken

    def _make_room(self) -> None:
        """Count exactly; if it is too much, drop the oldest messages, down to an eighth below the limit:
        otherwise the next message would be too much again, and each would cost a full count.
        """
        self._held = sum(len(message) for _topic, message in self._messages.copy())
        if self._held > self._size:
            while self._held > self._size - self._size // 8:
                self._drop_oldest()

    def _drop_oldest(self) -> None:
        if self.take() is not None and not self._dropping:
            self._dropping = True
            logger.warning("messages are published faster than the server takes them: the oldest are lost")


_current: Outbox | None = None


def open_outbox(outbox: Outbox | None) -> None:
    """Make `outbox` the one that `publish` uses in this process; None: the server has stopped."""
    global _current
    _current = outbox


def find_outbox() -> Outbox | None:
    """Return the one that `publish` uses in this process; None: nothing serves here, or not yet."""
    return _current


#: What `publish` calls besides the server: see `witnessed`.
_witnesses: tuple[Callable[[str, bytes], object], ...] = ()


@contextlib.contextmanager
def witnessed(witness: Callable[[str, bytes], object]) -> Iterator[None]:
    """Call `witness` with each topic and encoded message that is published in this process. For tests:
    meanwhile it is no error that nothing serves.
    """
    global _witnesses
    _witnesses = (*_witnesses, witness)
    try:
        yield
    finally:
        _witnesses = tuple(each for each in _witnesses if each is not witness)


def check_topic(topic: str) -> str:
    """Raises ValueError unless `topic` is a name: a printable str of 1 to 255 characters."""
    if not isinstance(topic, str) or not topic.isprintable() or not 0 < len(topic) <= _MAX_TOPIC:
        raise ValueError(f"a topic is a printable string of 1 to {_MAX_TOPIC} characters, not {topic!r}")
    return topic


def encode(message: Any) -> bytes:
    """Encode a JSON value as bytes. Raises TypeError or ValueError: not JSON (NaN is not), or too large."""
    data = json.dumps(message, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    if len(data) > MESSAGE_SIZE:
        raise ValueError(f"a message of {len(data)} bytes: the limit is {MESSAGE_SIZE}")
    return data


def publish(topic: str, message: Any) -> None:
    """Send `message`, a JSON value, to all subscribers of `topic` on this server.

    For a Flask view or any thread of a WSGI process, and for native handlers. Never blocks and never waits
    for subscribers; there may be none. Publish after the commit: a subscriber reads at once.

    Raises NotServing outside a server; TypeError or ValueError if `message` is not a JSON value or is larger
    than 512 KiB, or if `topic` is not a name.
    """
    check_topic(topic)
    try:
        data = encode(message)
    except (TypeError, ValueError, RecursionError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"publish({topic!r}): {error}") from None
    if _witnesses:
        for witness in _witnesses:
            witness(topic, data)
    try:
        outbox = _current
        if outbox is None or outbox.pid != os.getpid():
            raise NotServing(OUTSIDE)
        outbox.put(topic, data)
    except NotServing:
        if not _witnesses:
            raise
