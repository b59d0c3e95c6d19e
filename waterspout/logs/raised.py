"""What the app has raised, logged, whatever the app's own logging does to it. Leaf."""

from __future__ import annotations

import contextlib
import logging
import sys
from traceback import format_exception


def log_raised(logger: logging.Logger, error: BaseException, message: str, *arguments: object) -> None:
    """Log an error with its traceback. Never raises: where a filter or a handler does (one that reads
    `request.path` outside of a request), both tracebacks go to stderr.
    """
    try:
        logger.error(message, *arguments, exc_info=error)
    except BaseException as fault:  # SystemExit, too
        with contextlib.suppress(Exception):  # stderr is closed, or its disk is full
            sys.stderr.write(_describe(message % arguments, error, fault))


def _describe(text: str, error: BaseException, fault: BaseException) -> str:
    lines = [f"waterspout: can't be logged: {text}\n", *format_exception(error)]
    # Not what it is the consequence of: that is `error`, which is said.
    lines += ["waterspout: because the logging has raised\n", *format_exception(fault, chain=False)]
    return "".join(lines)
