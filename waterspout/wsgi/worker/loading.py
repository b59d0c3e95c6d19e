"""Loads the WSGI app that the user named."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from typing import Any

from waterspout.exceptions import ConfigurationError
from waterspout.importer import resolve_callable

logger = logging.getLogger("waterspout.wsgi")

WSGIApp = Callable[..., Any]


def load_app(target: str | WSGIApp, *, debug: bool = False) -> WSGIApp:
    """The WSGI callable. `debug` turns on Flask's debug mode and wraps it in Werkzeug's debugger.

    Raises TargetNotFound, TargetRaised; ConfigurationError when `debug` is set without Werkzeug, and
    for an app that can't run here.
    """
    if debug:
        os.environ["FLASK_DEBUG"] = "1"  # read by Flask() when the app is made
    try:
        app = resolve_callable(target) if isinstance(target, str) else target
    except Exception:
        refuse_patched_threads()  # if so, that is the reason
        raise
    refuse_patched_threads()
    return _with_debugger(app) if debug else app


def refuse_patched_threads() -> None:
    """Raises ConfigurationError: the app has replaced Python's threads, so it can't run in threads."""
    if _says("gevent.monkey", "is_module_patched", "threading"):
        name = "gevent"
    elif _says("eventlet.patcher", "is_monkey_patched", "thread"):
        name = "eventlet"
    else:
        return
    raise ConfigurationError(
        f"the app patches Python's threads for {name}, and lanes are threads: load it without that "
        "(no monkey.patch_all(), no monkey_patch()), or stay with a server made for it"
    )


def _says(module_name: str, question: str, about: str) -> bool:
    ask = getattr(sys.modules.get(module_name), question, None)
    return ask is not None and ask(about)  # None: also while another thread imports it


def _with_debugger(app: WSGIApp) -> WSGIApp:
    try:
        # Not a dependency: only Flask's users have it, and only --debug wants it.
        from werkzeug.debug import DebuggedApplication
    except ImportError:
        raise ConfigurationError("--debug needs Werkzeug: pip install werkzeug") from None
    debugged = DebuggedApplication(app, evalex=True)
    logger.warning("the interactive debugger is on; its PIN is %s", debugged.pin)
    return debugged
