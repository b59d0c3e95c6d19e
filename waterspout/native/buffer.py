"""How much memory clients may fill together."""

from __future__ import annotations

import logging

from waterspout.limits import BUFFER_SAID_PAUSE, MIB
from waterspout.logs.tallying import SpokenTally

_logger = logging.getLogger(__name__)


class BufferSpace:
    """What clients have sent for native handlers, `limit` bytes at most of all together: bodies that a
    handler gets whole, and WebSocket messages that come in pieces, from the first piece until it is done.

    Attributes: `used`, how much of it is taken (bytes).
    """

    __slots__ = ("_refusals", "limit", "used")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self._refusals = SpokenTally(BUFFER_SAID_PAUSE, self._say_refused)

    def take(self, size: int, held: int) -> bool:
        """Take `size` bytes for a client that holds `held`; False: there is no room. Who is alone always has
        it: there is another limit for one body, or message.
        """
        if self.used + size > self.limit and self.used > held:
            self._refusals.count()
            return False
        self.used += size
        return True

    def give_back(self, size: int) -> None:
        """They are free again."""
        self.used -= size

    def say_rest(self) -> None:
        """Log those refusals that are not in the log yet."""
        self._refusals.say_rest()

    def _say_refused(self, unsaid: int, is_rest: bool) -> None:
        _logger.warning(
            "no room for what clients send to native handlers (--native-buffer; %.0f MiB are taken): "
            "refused %d%s since the last such line",
            self.used / MIB,
            unsaid,
            " more" if is_rest else "",
        )
