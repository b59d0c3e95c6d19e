"""Where log lines go: stderr, one line each, the same in every process of a server. Leaf.

Only the loggers `waterspout` and `tornado` are touched, and gunicorn's: the root belongs to the app.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator
from typing import Final

from waterspout.logs.local_time import TIME_ZONE, LocalTime
from waterspout.logs.steady import steady

_FORMAT: Final = "%(asctime)s %(levelname)s %(name)s %(message)s"
_OURS: Final = ("waterspout", "tornado")
#: Many Flask apps take this one's handlers and level for their own logger, or write to it. Without any, their
#: INFO lines would be lost.
_GUNICORNS: Final = "gunicorn.error"
#: One line for each request; for a stock `tornado.web.Application` it is Tornado's.
_ACCESS: Final = ("waterspout.access", "tornado.access")
#: Those that quote what clients have sent.
_QUOTING: Final = ("tornado.general", "tornado.access")


def escape(text: str) -> str:
    """`text` as printable ASCII: nothing in it can forge a line or control a terminal."""
    if text.isascii() and text.isprintable():
        return text
    return text.encode("unicode_escape").decode("ascii")


class LineFormatter(logging.Formatter):
    """Python's own, but it formats the time once a second: that is a third of a line's cost. What Tornado
    quotes from a client can't control a terminal.
    """

    #: A second, and its text: one object, so that a thread sees both or neither.
    _latest = (-1, "")

    def __init__(self, fmt: str | None = None, time_zone: str | None = TIME_ZONE) -> None:
        super().__init__(fmt)
        self._local_time = LocalTime(time_zone)

    def formatMessage(self, record: logging.LogRecord) -> str:
        if record.name in _QUOTING:
            record.message = escape(record.message)
        return super().formatMessage(record)

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        if datefmt is not None:
            return super().formatTime(record, datefmt)
        latest, second = self._latest, int(record.created)
        if latest[0] != second:
            # Python's own way to ask for another time is `logging.Formatter.converter = time.gmtime`.
            convert = self._local_time if self.converter is time.localtime else self.converter
            text = time.strftime(self.default_time_format, convert(second))
            self._latest = latest = (second, text)
        return f"{latest[1]},{int(record.msecs):03d}"


def configure(
    level: int = logging.INFO, *, access_log: bool = True, time_zone: str | None = TIME_ZONE
) -> None:
    """Send our log lines to stderr, and what apps write to gunicorn's logger. `access_log` False silences the
    line for each request. `time_zone`: TZ of the server.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(LineFormatter(_FORMAT, time_zone))
    for name in (*_OURS, _GUNICORNS):
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.setLevel(level)
        logger.propagate = False
    if logging.lastResort is not None:
        # So that warnings of unconfigured loggers, such as asyncio's, also say when and what.
        logging.lastResort.setFormatter(LineFormatter(_FORMAT, time_zone))
    # At INFO Tornado quotes what a hostile client sent, including header values; not in these two.
    logging.getLogger("tornado").setLevel(max(level, logging.WARNING))
    for name in ("tornado.access", "tornado.application"):
        logging.getLogger(name).setLevel(level)
    for name in _ACCESS:
        logging.getLogger(name).disabled = not access_log
    _make_steady()


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """Keep our loggers on while an app is loaded or started. One that configures its logging by `dictConfig`
    or `fileConfig` turns off all loggers that it doesn't name, unless it says otherwise.
    """
    silent = {name for name in _find_ours() if logging.getLogger(name).disabled}
    try:
        yield
    finally:
        for name in _find_ours():
            logging.getLogger(name).disabled = name in silent
        _make_steady()


def _make_steady() -> None:
    """Do so for all of ours that exist by now, and for asyncio's, the only place where the exceptions of an
    event loop's callbacks end up.
    """
    for name in (*_find_ours(), "asyncio"):
        steady(name)


def _find_ours() -> list[str]:
    return [name for name in list(logging.root.manager.loggerDict) if name.partition(".")[0] in _OURS]
