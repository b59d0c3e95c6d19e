"""Where log lines go: stderr, one line each, the same in every process of a server. Leaf.

Only the loggers `waterspout` and `tornado` are touched: the root belongs to the app.
"""

from __future__ import annotations

import logging
from typing import Final

_FORMAT: Final = "%(asctime)s %(levelname)s %(name)s %(message)s"
_OURS: Final = ("waterspout", "tornado")


def configure(level: int = logging.INFO, *, access_log: bool = True) -> None:
    """Send our log lines to stderr. `access_log` False silences the line for each request."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter(_FORMAT))
    for name in _OURS:
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.setLevel(level)
        logger.propagate = False
    # At INFO Tornado quotes what a hostile client sent, header values too.
    logging.getLogger("tornado").setLevel(max(level, logging.WARNING))
    logging.getLogger("waterspout.access").disabled = not access_log
