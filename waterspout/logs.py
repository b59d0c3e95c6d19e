"""Where log lines go: stderr, one line each, the same in every process of a server. Leaf.

Only the loggers `waterspout` and `tornado` are touched: the root belongs to the app.
"""

from __future__ import annotations

import logging
import time
from typing import Final

_FORMAT: Final = "%(asctime)s %(levelname)s %(name)s %(message)s"
_OURS: Final = ("waterspout", "tornado")


class LineFormatter(logging.Formatter):
    """Python's own, which writes the time of a second once: that is a third of what a line costs."""

    #: One object, so that a thread sees both or neither: a second, and its text.
    _latest = (-1, "")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        if datefmt is not None:
            return super().formatTime(record, datefmt)
        latest, second = self._latest, int(record.created)
        if latest[0] != second:
            text = time.strftime(self.default_time_format, self.converter(second))
            self._latest = latest = (second, text)
        return f"{latest[1]},{int(record.msecs):03d}"


def configure(level: int = logging.INFO, *, access_log: bool = True) -> None:
    """Send our log lines to stderr. `access_log` False silences the line for each request."""
    handler = logging.StreamHandler()
    handler.setFormatter(LineFormatter(_FORMAT))
    for name in _OURS:
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.setLevel(level)
        logger.propagate = False
    # At INFO Tornado quotes what a hostile client sent, header values too.
    logging.getLogger("tornado").setLevel(max(level, logging.WARNING))
    logging.getLogger("waterspout.access").disabled = not access_log
