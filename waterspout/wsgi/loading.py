"""What the user named becomes what a lane worker calls."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import Any

from waterspout.exceptions import ConfigurationError
from waterspout.importer import resolve_callable

logger = logging.getLogger("waterspout.wsgi")

WSGIApp = Callable[..., Any]


def load_app(target: str | WSGIApp, *, debug: bool = False) -> WSGIApp:
    """The WSGI callable. `debug` turns on Flask's debug mode and puts Werkzeug's debugger around it.

    Raises TargetNotFound, TargetRaised; ConfigurationError when `debug` is asked for without Werkzeug.
    """
    if debug:
        os.environ["FLASK_DEBUG"] = "1"  # read by Flask() when the app is made
    app = resolve_callable(target) if isinstance(target, str) else target
    return _with_debugger(app) if debug else app


def _with_debugger(app: WSGIApp) -> WSGIApp:
    try:
        # Not a dependency: only Flask's users have it, and only --debug wants it.
        from werkzeug.debug import DebuggedApplication
    except ImportError:
        raise ConfigurationError("--debug needs Werkzeug: pip install werkzeug") from None
    debugged = DebuggedApplication(app, evalex=True)
    logger.warning("the interactive debugger is on; its PIN is %s", debugged.pin)
    return debugged
