"""Lists the rules of both sides, each with its row in the report, and able to make samples of its paths."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tornado.routing import PathMatches, Rule
from tornado.web import Application as TornadoApplication
from werkzeug.routing import BaseConverter

from waterspout.importer import is_foreign
from waterspout.native.access import find_access
from waterspout.native.methods import find_methods
from waterspout.native.replacing import find_replaced
from waterspout.routes.report import FLASK, NATIVE, Row
from waterspout.routes.samples import Shape, sample_regex
from waterspout.routing.containers import find_containers
from waterspout.routing.route import Route
from waterspout.routing.rulemap import RuleMap
from waterspout.routing.table import Pattern, Table, is_simple
from waterspout.wsgi.container import Container

#: Where Flask-Login's decorators live.
_FLASK_LOGIN: Final = "flask_login.utils"
#: The methods that are tried on a rule that names none.
USUAL: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")


@dataclass
class Native:
    """A native rule: `route`, where it leads; `shape`, its path, if that is written Flask's way; `pattern`,
    if it is a regular expression.
    """

    row: Row
    route: Route
    shape: Shape | None = None
    pattern: Pattern | None = None

    @property
    def methods(self) -> tuple[str, ...]:
        return self.row.methods or USUAL

    @property
    def replaced(self) -> frozenset[str]:
        """Endpoints that it is meant to replace."""
        return find_replaced(self.route.target)

    def spell(self, words: tuple[str, ...]) -> list[str]:
        """Sample paths, as they are on the wire."""
        if self.shape is not None:
            return self.shape.spell(words)
        assert self.pattern is not None
        paths = sample_regex(self.pattern.text, self.pattern.flags, words)
        return [path for path in paths if path.startswith("/") and path.isascii()]


@dataclass
class View:
    """A rule of the Flask app. `shape`: None, if it can't be judged; `why` gives the reason. `is_name`: its
    endpoint has no function, and is only a name for `url_for` (Flask's tutorial has one, `index`). `library`:
    the installed package that its function is of; "": none, it is the app's own.
    """

    row: Row
    rule: Any
    shape: Shape | None
    why: str = ""
    is_name: bool = False
    library: str = ""

    @property
    def methods(self) -> tuple[str, ...]:
        return self.row.methods or USUAL


def list_native(table: Table) -> list[Native]:
    """The native rules of a table, in their order, without the last rule, which is the WSGI app's."""
    found: list[Native] = []
    for place in table.places:
        if isinstance(place, RuleMap):
            for rule, made, route in place.listed:
                row = _describe_native(rule.path, route, rule.name)
                found.append(Native(row, route, Shape(rule.path, find_converters(made))))
        elif place.route.container is None:
            row = _describe_native(place.text, place.route, place.name)
            found.append(Native(row, place.route, pattern=place))
    return found


def list_others(application: TornadoApplication) -> list[str]:
    """Rules that a table can't hold: those for hosts, and those that lead to other rules or to functions."""
    outer = [
        rule for rule in application.default_router.rules if rule.target is not application.wildcard_router
    ]
    inner = [rule for rule in application.wildcard_router.rules if not is_simple(rule)]
    return [_describe_rule(rule) for rule in (*outer, *inner)]


def _describe_rule(rule: Rule) -> str:
    matcher = rule.matcher
    pattern = getattr(matcher, "host_pattern", None) or getattr(matcher, "regex", None)
    said = getattr(pattern, "pattern", "")
    kind = "path" if isinstance(matcher, PathMatches) else type(matcher).__name__
    target = getattr(rule.target, "__qualname__", None) or type(rule.target).__name__
    return f"{kind} {said!r} -> {target}"


def _describe_native(path: str, route: Route, name: str | None) -> Row:
    handler = route.target
    methods = find_methods(handler)
    own = None if methods is None else tuple(sorted(methods - {"HEAD"} if "GET" in methods else methods))
    return Row(
        path=path,
        methods=own,
        owner=NATIVE,
        target=f"{handler.__module__}.{handler.__qualname__}",
        name=name,
        access=_describe_access(handler, own or tuple(handler.SUPPORTED_METHODS)),
        source=find_source(handler),
    )


def _describe_access(handler: Any, methods: tuple[str, ...]) -> str:
    """One word, if it is the same for all methods; otherwise one for each."""
    said = {method: find_access(handler, method) or "not declared" for method in methods}
    kinds = set(said.values())
    if len(kinds) == 1:
        return kinds.pop()
    return ", ".join(f"{method} {access}" for method, access in said.items())


def list_views(flask: Any, prefix: str = "") -> list[View]:
    """The rules of a Flask app, in the order in which they were made. `prefix`: where it is mounted."""
    found = []
    for rule in flask.url_map.iter_rules():
        if rule.build_only:
            continue
        function = flask.view_functions.get(rule.endpoint)
        row = Row(
            path=(f"{rule.subdomain}." if rule.subdomain else rule.host or "") + prefix + rule.rule,
            methods=_find_own_methods(rule),
            owner=FLASK,
            target=str(rule.endpoint),
            name=str(rule.endpoint),
            access=_find_login(flask, rule.endpoint),
            source=find_source(function),
        )
        why = "its host varies" if "<" in f"{rule.subdomain}{rule.host}" else ""
        if rule.websocket:
            why = "it is for a WebSocket"
        elif rule.redirect_to is not None:
            why = "it only redirects"
        shape = None if why else Shape(prefix + rule.rule, find_converters(rule))
        library = _find_library(function)
        if library == flask.import_name.partition(".")[0]:
            library = ""  # the app itself is installed: its rules are its own
        found.append(View(row, rule, shape, why, is_name=function is None, library=library))
    return found


def find_converters(rule: Any) -> Mapping[str, BaseConverter]:
    """A rule's converters by argument name. Werkzeug has no public name for them (2.2, 2.3, 3.0 and 3.1)."""
    converters: Mapping[str, BaseConverter] = rule._converters
    return converters


def _find_own_methods(rule: Any) -> tuple[str, ...] | None:
    """The methods of a rule without those that Flask adds by itself."""
    if rule.methods is None:
        return None
    added = {"HEAD"} if "GET" in rule.methods else set()
    if getattr(rule, "provide_automatic_options", True):
        added.add("OPTIONS")
    return tuple(sorted(set(rule.methods) - added))


def _find_login(flask: Any, endpoint: str) -> str:
    """What of Flask-Login guards a view: a decorator, or what runs before each request; "-": nothing."""
    names = str(endpoint).split(".")[:-1]  # in an app's own `url_map` it may be no string
    scopes = [None, *(".".join(names[:size]) for size in range(1, len(names) + 1))]
    before = [function for scope in scopes for function in flask.before_request_funcs.get(scope, ())]
    for function in (flask.view_functions.get(endpoint), *before):
        for layer in _unwrap(function):
            code, globals_ = getattr(layer, "__code__", None), getattr(layer, "__globals__", {})
            if code is not None and globals_.get("__name__") == _FLASK_LOGIN:
                return str(code.co_qualname).partition(".")[0]
    return "-"


def _unwrap(function: Any) -> Iterator[Any]:
    seen: set[int] = set()
    while function is not None and id(function) not in seen:
        seen.add(id(function))
        yield function
        function = getattr(function, "__wrapped__", None) or getattr(function, "func", None)


def find_source(target: Any) -> str:
    """`file:line`, relative to the current directory or where packages are found; "-": it is in no file."""
    inmost = _find_inmost(target)
    try:
        file = inspect.getsourcefile(inmost)
        code = getattr(inmost, "__code__", None)
        line = code.co_firstlineno if code is not None else inspect.getsourcelines(inmost)[1]
    except (TypeError, OSError):
        return "-"
    return f"{_shorten(file)}:{line}" if file else "-"


def _find_library(target: Any) -> str:
    inmost = _find_inmost(target)
    try:
        file = inspect.getsourcefile(inmost)
    except TypeError:
        return ""
    name = getattr(inmost, "__module__", None)
    return name.partition(".")[0] if file and isinstance(name, str) and is_foreign(file) else ""


def _find_inmost(target: Any) -> Any:
    """The function or class that somebody wrote, below all that is around it."""
    *_, inmost = [None, *_unwrap(target)]
    return getattr(inmost, "view_class", inmost)


def _shorten(file: str) -> str:
    file = os.path.realpath(file)
    homes = [os.path.realpath(path or os.getcwd()) + os.sep for path in ("", *sys.path)]
    inside = [file[len(home) :] for home in homes if file.startswith(home)]
    return min(inside, key=len, default=file)


def find_container(application: TornadoApplication) -> Container | None:
    """The container of an application's WSGI app: that of `wsgi=`, else of the last rule that leads to one.
    None: no rule does.
    """
    return next(reversed(find_containers(application)), None)
