"""How much memory clients may fill together, by what they send or by what they don't take."""

from __future__ import annotations

import logging

from waterspout.limits import BUFFER_SAID_PAUSE, MIB
from waterspout.logs.tallying import SpokenTally

_logger = logging.getLogger(__name__)


class BufferSpace:
    """`limit` bytes for all clients together. `says`: what the log says where there is no room for some, up
    to how many they are.

    Attributes: `used`, how much of it is taken (bytes).
    """

    __slots__ = ("_refusals", "_says", "limit", "used")

    def __init__(self, limit: int, says: str) -> None:
        self.limit = limit
        self.used = 0
        self._says = says
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
            "%s %d%s since the last such line (--native-buffer; %.0f MiB are taken)",
            self._says,
            unsaid,
            " more" if is_rest else "",
            self.used / MIB,
        )
