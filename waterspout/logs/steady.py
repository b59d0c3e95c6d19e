"""Loggers that never raise, and stay on, whatever the app does to logging. Leaf."""

from __future__ import annotations

import contextlib
import logging
import sys
from traceback import format_exception


class Steady(logging.Logger):
    """Mixed into a logger by `steady`."""

    def handle(self, record: logging.LogRecord) -> None:
        """Where a filter or a handler raises (one that reads `flask.request` outside of a request), what
        was to be logged and why it is not go to stderr; and whoever logs goes on: the end of a reply, a stop,
        or the event loop itself may stand behind the line.
        """
        try:
            super().handle(record)
        except (Exception, SystemExit) as fault:
            with contextlib.suppress(Exception):  # stderr is closed, or its disk is full
                sys.stderr.write(_describe(record, fault))

    def __setattr__(self, name: str, value: object) -> None:
        """`dictConfig` and `fileConfig` turn off all loggers that they don't name, unless told: ours
        are not meant. Who turns one off by hand means it.
        """
        is_sweeping = name == "disabled" and value and _caller() == "logging.config"
        if not is_sweeping:
            super().__setattr__(name, value)


def steady(name: str) -> logging.Logger:
    """The logger of this name, made so; of whatever class it is."""
    logger = logging.getLogger(name)
    kind = type(logger)
    if not issubclass(kind, Steady):
        logger.__class__ = type(kind.__name__, (Steady, kind), {})
    return logger


def _caller() -> str:
    """The module that sets an attribute."""
    return str(sys._getframe(2).f_globals.get("__name__"))


def _describe(record: logging.LogRecord, fault: BaseException) -> str:
    lines = [f"waterspout: can't be logged: {record.getMessage()}\n"]
    if record.exc_info and record.exc_info[1] is not None:
        lines += format_exception(record.exc_info[1])
    # Not what it is the consequence of: that has just been said.
    lines += ["waterspout: because the logging has raised\n", *format_exception(fault, chain=False)]
    return "".join(lines)
