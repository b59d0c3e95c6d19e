"""Loggers that never raise and stay enabled, whatever the app does to logging. Leaf."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Mapping
from traceback import format_exception
from typing import Any


class Steady(logging.Logger):
    """Mixed into a logger by `steady`."""

    def makeRecord(
        self,
        name: str,
        level: int,
        fn: str,
        lno: int,
        msg: object,
        args: Any,
        exc_info: Any,
        func: str | None = None,
        extra: Mapping[str, object] | None = None,
        sinfo: str | None = None,
    ) -> logging.LogRecord:
        """If the app's record factory raises, the record is Python's own, and stderr gets the reason."""
        try:
            return super().makeRecord(name, level, fn, lno, msg, args, exc_info, func, extra, sinfo)
        except (Exception, SystemExit) as fault:
            _write("waterspout: the log record factory raised", fault)
            return logging.LogRecord(name, level, fn, lno, msg, args, exc_info, func, sinfo)

    def handle(self, record: logging.LogRecord) -> None:
        """If a filter or a handler raises (one that reads `flask.request` outside of a request), the message
        and the reason go to stderr, and the caller goes on: it may be the end of a reply, a stop, or the
        event loop itself.
        """
        try:
            super().handle(record)
        except (Exception, SystemExit) as fault:
            _write(_describe(record), fault)

    def __setattr__(self, name: str, value: object) -> None:
        """`dictConfig` and `fileConfig` turn off all loggers that they don't name, unless told otherwise: not
        ours. A logger that is disabled by hand stays disabled.
        """
        is_sweeping = name == "disabled" and value and _caller() == "logging.config"
        if not is_sweeping:
            super().__setattr__(name, value)


def steady(name: str) -> logging.Logger:
    """The logger of this name, made steady; whatever its class."""
    logger = logging.getLogger(name)
    kind = type(logger)
    if not issubclass(kind, Steady):
        logger.__class__ = type(kind.__name__, (Steady, kind), {})
    return logger


def _caller() -> str:
    """The name of the module that sets an attribute."""
    return str(sys._getframe(2).f_globals.get("__name__"))


def _describe(record: logging.LogRecord) -> str:
    try:
        text = record.getMessage()
    except Exception:  # its arguments don't fit
        text = str(record.msg)
    lines = [f"waterspout: can't be logged: {text}\n"]
    if record.exc_info and record.exc_info[1] is not None:
        lines += format_exception(record.exc_info[1])
    return "".join([*lines, "waterspout: because logging raised"])


def _write(text: str, fault: BaseException) -> None:
    # Without its cause: that has just been written.
    with contextlib.suppress(Exception):  # stderr is closed, or its disk is full
        sys.stderr.write("".join([f"{text}\n", *format_exception(fault, chain=False)]))
