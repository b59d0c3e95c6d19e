"""Warns, when a server starts, of views whose requests native rules take: a quick check of what the Flask app
has told of its rules. `waterspout routes --check` does a thorough one (`judging.py`).
"""

from __future__ import annotations

import math
import re
import time
from contextlib import suppress
from typing import Final
from urllib.parse import quote

from tornado.web import RequestHandler, StaticFileHandler

from waterspout.application import Application
from waterspout.logs.saying import say
from waterspout.native.fitting import may_decline
from waterspout.native.replacing import find_replaced
from waterspout.routing.paths import PLAIN
from waterspout.wsgi.naming import NamedRule, Names

#: What replaces an argument, by its converter: a value that no narrower one in the app would take. Nothing is
#: concluded about other converters.
_SAMPLES: Final = {
    "": "some-name",
    "string": "some-name",
    "int": "1",
    "float": "1.5",
    "path": "some/path/of/that/name",
    "uuid": "8f14e45f-ceea-467f-a0e6-a3d1f1d0ac3b",
}
_ARGUMENT: Final = re.compile(r"<([^<>]+)>")
#: How long rules are checked, on the event loop (seconds): usually enough for hundreds of them.
_TIME: Final = 0.1
#: How many views are named.
_NAMED: Final = 3


def tell_shadows(application: Application, flask: Names) -> None:
    """Say in one line which endpoints of `flask` native rules answer, except where the handler declares that
    this is intended; nothing, if there are none.
    """
    found = find_shadowed(application, flask, _TIME)
    if not found:
        return
    views = "a Flask view" if len(found) == 1 else f"{len(found)} Flask views"
    named = ", ".join(found[:_NAMED]) + ", ..." * (len(found) > _NAMED)
    say(
        f"native rules take requests of {views} ({named}): waterspout routes --check shows which, and "
        "@waterspout.replaces declares that this is intended"
    )


def find_shadowed(application: Application, flask: Names, seconds: float = math.inf) -> list[str]:
    """Those endpoints in the order of their rules, as many as `seconds` allow. None at all if native
    rules have converters with their own code: that may wait for a database, though no request has come.
    """
    if _runs_code(application):
        return []
    literal = {rule["rule"] for rule in flask.rules}
    found: dict[str, None] = {}
    deadline = time.perf_counter() + seconds
    for rule in flask.rules:
        path = _spell(rule["rule"], flask) if rule["answers"] and not rule["hosted"] else None
        if path is None or (path != rule["rule"] and path in literal):
            continue
        if time.perf_counter() > deadline:
            break
        with suppress(Exception):  # a check for possible mistakes must not end a start
            if _is_taken(application, rule, path):
                found[rule["endpoint"]] = None
    return [*found]


def _spell(rule: str, flask: Names) -> str | None:
    """A path that the rule matches; None: it has an unknown converter."""
    texts = _ARGUMENT.split(rule)
    kinds = [argument.rpartition(":")[0].strip() for argument in texts[1::2]]
    if not all(kind in _SAMPLES and (kind or "default") not in flask.converters for kind in kinds):
        return None
    texts[1::2] = [_SAMPLES[kind] for kind in kinds]
    return "".join(texts)


def _is_taken(application: Application, rule: NamedRule, path: str) -> bool:
    methods = set(rule["methods"] or ("GET",)) - {"HEAD", "OPTIONS"}  # Flask adds these
    path = quote(path, safe=PLAIN)
    handlers = filter(None, {application.find_native(method, path) for method in methods})
    return any(not _is_meant(each, rule["endpoint"]) for each in handlers)


def _is_meant(handler_class: type[RequestHandler], endpoint: str) -> bool:
    """Whether it is declared, or the handler may decline, or serves `static_path`, files of Flask's, too."""
    if endpoint == "static" and issubclass(handler_class, StaticFileHandler):
        return True
    return endpoint in find_replaced(handler_class) or may_decline(handler_class)


def _runs_code(application: Application) -> bool:
    """Whether looking for a rule may run the application's own code."""
    converters = application.container.link.native.converters if application.container is not None else {}
    return any(each.to_python.__module__.partition(".")[0] != "werkzeug" for each in converters.values())
