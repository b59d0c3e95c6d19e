"""What a server says, as it starts, of views whose requests native rules take: a quick look at what the
Flask app has told of its rules. `waterspout routes --check` takes a thorough one (`judging.py`).
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Final
from urllib.parse import quote

from waterspout.application import Application
from waterspout.logs.saying import say
from waterspout.native.replacing import find_replaced
from waterspout.routing.paths import PLAIN
from waterspout.wsgi.naming import NamedRule, Names

#: What stands in place of an argument, by its converter: what none narrower would take within the app. Of
#: other converters nothing is concluded.
_SAMPLES: Final = {
    "": "some-name",
    "string": "some-name",
    "int": "1",
    "float": "1.5",
    "path": "some/path/of/that/name",
    "uuid": "8f14e45f-ceea-467f-a0e6-a3d1f1d0ac3b",
}
_ARGUMENT: Final = re.compile(r"<([^<>]+)>")
#: So many rules are looked at, in some hundredths of a second.
_RULES: Final = 500
#: So many views are named.
_NAMED: Final = 3


def tell_shadows(application: Application, flask: Names) -> None:
    """Say which endpoints of `flask` native rules answer, unless the handler says that this is meant: in one
    line, or in none.
    """
    found = find_shadowed(application, flask)
    if not found:
        return
    views = "a view of Flask's" if len(found) == 1 else f"{len(found)} of Flask's views"
    named = ", ".join(found[:_NAMED]) + ", ..." * (len(found) > _NAMED)
    say(
        f"native rules take requests of {views} ({named}): waterspout routes --check tells which, and "
        "@waterspout.replaces says that it is meant"
    )


def find_shadowed(application: Application, flask: Names) -> list[str]:
    """Those endpoints, in the order of their rules."""
    literal = {rule["rule"] for rule in flask.rules}
    found: dict[str, None] = {}
    for rule in flask.rules[:_RULES]:
        path = _spell(rule["rule"], flask)
        if path is None or rule["hosted"] or (path != rule["rule"] and path in literal):
            continue
        with suppress(Exception):  # a converter's, of a native rule: it says so when it is asked in earnest
            if _is_taken(application, rule, path):
                found[rule["endpoint"]] = None
    return [*found]


def _spell(rule: str, flask: Names) -> str | None:
    """A path that it matches."""
    texts = _ARGUMENT.split(rule)
    kinds = [argument.rpartition(":")[0].strip() for argument in texts[1::2]]
    if not all(kind in _SAMPLES and (kind or "default") not in flask.converters for kind in kinds):
        return None
    texts[1::2] = [_SAMPLES[kind] for kind in kinds]
    return "".join(texts)


def _is_taken(application: Application, rule: NamedRule, path: str) -> bool:
    methods = set(rule["methods"] or ("GET",)) - {"HEAD", "OPTIONS"}  # Flask adds these
    path = quote(path, safe=PLAIN)
    handlers = [application.find_native(method, path) for method in methods]
    return any(each is not None and rule["endpoint"] not in find_replaced(each) for each in handlers)
