"""Finds which side answers what by trying sample URLs on the table of native rules and on Flask's own map.

Nothing is concluded from how a rule is written. What no sample shows is not found; samples are made from both
sides' rules, so that the narrower of two rules gives samples that the wider one takes.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any, Final

from tornado.web import Application as TornadoApplication
from tornado.web import FallbackHandler, StaticFileHandler
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect

from waterspout.application import Application
from waterspout.native.access import find_access
from waterspout.native.fitting import may_decline
from waterspout.native.methods import owns
from waterspout.routes.listing import Native, View, list_native, list_others, list_views
from waterspout.routes.report import (
    PARTLY_SHADOWED,
    SHADOWED,
    UNDECLARED,
    UNREACHABLE,
    WSGI,
    Finding,
    Report,
    Row,
)
from waterspout.routes.samples import unite
from waterspout.routing.gathering import GuardedFallbackHandler
from waterspout.routing.paths import decode_path
from waterspout.routing.table import Table, is_simple
from waterspout.wsgi.layers import find_flask, find_mounts

#: How many words of the other side's rules are tried in variable parts, at most; and for all rules together,
#: so that thousands of them take only seconds. Where two rules meet is searched for separately.
_WORDS: Final = 60
_WORDS_FOR_ALL: Final = 6000
#: How many examples a finding shows.
_EXAMPLES: Final = 3
#: How much of a converter's exception is shown (characters).
_SAID: Final = 200
_WORD: Final = re.compile(r"[\w.~-]+")


def examine(application: TornadoApplication, wsgi: Any, flask: Any, wsgi_name: str = "") -> Report:
    """The report of an application. `wsgi`: its loaded WSGI app, or None; `flask`: the Flask app in that, or
    None; `wsgi_name`: the app's name as it was given.
    """
    table = _lay_table(application)
    natives = list_native(table)
    sites = [Site("", flask)] + [Site(path, find_flask(app)) for path, app in find_mounts(wsgi).items()]
    views = [view for site in sites for view in site.views]
    rows = [*(native.row for native in natives), *(view.row for view in views)]
    notes = [f"not checked, Tornado's routers decide: {text}" for text in list_others(application)]
    for path in [site.prefix for site in sites[1:] if site.flask is None]:
        rows.append(Row(f"{path}/.*", None, WSGI, "-", None, "-", "-"))
        notes.append(f"not checked: a WSGI app that is not a Flask app is mounted at {path}")
    if wsgi is not None and flask is None:
        rows.append(Row(".*", None, WSGI, wsgi_name, None, "-", "-"))
        notes.append(
            f"{wsgi_name} is not a Flask app: its rules are not known, and only native ones are checked"
        )
    if not isinstance(application, Application):
        notes.append("not checked: a stock tornado.web.Application does not route by method")
        return Report(rows, (), notes)
    judge = Judge(natives, views, table, sites)
    findings = [*judge.find_shadows(), *judge.find_unreachable(), *_find_undeclared(application, natives)]
    stale = _find_stale(natives, views, sites)
    idle = [] if list_others(application) else judge.find_idle()  # the others may lead to the same handlers
    return Report(rows, findings, [*notes, *judge.notes, *stale, *idle, *judge.find_let_in()])


def _lay_table(application: TornadoApplication) -> Table:
    """A table of those rules that a table can hold, when it can't hold all of them."""
    rules = [rule for rule in application.wildcard_router.rules if is_simple(rule)]
    apart = TornadoApplication()
    apart.wildcard_router.rules[:] = rules
    return Table(apart, lambda handler_class: handler_class)


class Site:
    """The app `flask`, None if it is not Flask's, mounted at `prefix`; "" is the top. `views`: its rules."""

    def __init__(self, prefix: str, flask: Any) -> None:
        self.prefix = prefix
        self.flask = flask
        self.views = [] if flask is None else list_views(flask, prefix)
        self.by_rule = {id(view.rule): view for view in self.views}
        self.adapters = [] if flask is None else _bind(flask.url_map, self.views)

    def has(self, path: str) -> bool:
        """Whether `path` goes to this app, unless to one mounted below it. As in `DispatcherMiddleware`."""
        return path == self.prefix or path.startswith(f"{self.prefix}/")


class Judge:
    """Tries samples on both sides, once each. `notes`: what it could not try."""

    def __init__(
        self, natives: Sequence[Native], views: Sequence[View], table: Table, sites: Sequence[Site]
    ) -> None:
        self._natives = natives
        self._views = views
        self._table = table
        self._by_route = {id(native.route): native for native in natives}
        self.notes = [
            f"not checked, {view.why}: {view.row.path} ({view.row.target})"
            for view in views
            if view.shape is None
        ]
        self._sites = sorted(sites, key=lambda site: len(site.prefix), reverse=True)
        #: (view, method) -> samples that reach it; and, by native rule, those that do not.
        self._free: dict[tuple[int, str], list[str]] = defaultdict(list)
        self._taken: dict[tuple[int, str], dict[int, list[str]]] = defaultdict(lambda: defaultdict(list))
        self._reached: set[int] = set()
        self._redirected: set[str] = set()
        self._raised: set[str] = set()
        self._native_paths = self._spell_natives()
        self._view_paths = self._spell_views()
        self._ask()

    # -- samples -------------------------------------------------------------------------------------------

    def _spell_natives(self) -> list[list[str]]:
        words = self._find_words(view.row.path for view in self._views)
        return [native.spell(words) for native in self._natives]

    def _spell_views(self) -> list[list[str]]:
        words = self._find_words(native.row.path for native in self._natives)
        return [view.shape.spell(words) if view.shape is not None else [] for view in self._views]

    def _find_words(self, paths: Iterable[str]) -> tuple[str, ...]:
        """The constant parts of rules between slashes."""
        parts = (part for path in paths for part in path.split("/"))
        words = dict.fromkeys(part for part in parts if _WORD.fullmatch(part))
        share = _WORDS_FOR_ALL // (len(self._natives) + len(self._views) or 1)
        return tuple(words)[: min(_WORDS, share)]

    def _collect(self) -> list[str]:
        """All samples, and paths where rules of both sides meet."""
        met = [
            path
            for native in self._natives
            for view in self._views
            if native.shape is not None and view.shape is not None
            for path in unite(native.shape, view.shape)
        ]
        own = [path for paths in (*self._native_paths, *self._view_paths) for path in paths]
        return list(dict.fromkeys([*own, *met]))

    # -- asking --------------------------------------------------------------------------------------------

    def _ask(self) -> None:
        methods = sorted({method for view in self._views for method in view.methods})
        for path in self._collect():
            for method in methods:
                for view in self._find_views(method, path):
                    if method not in view.methods or view.shape is None:
                        continue  # HEAD or OPTIONS that Flask adds; or a view that is not judged
                    key = id(view), method
                    native = self.find_native(method, path)
                    samples = self._free[key] if native is None else self._taken[key][id(native.route)]
                    samples.append(f"{method} {path}")

    def _find_views(self, method: str, path: str) -> list[View]:
        """The views that Flask would call; one for each host."""
        found = []
        decoded = decode_path(path)
        site = next(site for site in self._sites if site.has(decoded))
        for adapter in site.adapters:
            try:
                rule, _ = adapter.match(decoded[len(site.prefix) :], method=method, return_rule=True)
            except RequestRedirect:
                self._redirected.add(path)
                continue
            except HTTPException:
                continue
            except Exception as error:
                self._note_raised(error, path)
                continue
            if id(rule) in site.by_rule:
                found.append(site.by_rule[id(rule)])
        return found

    def find_native(self, method: str, path: str) -> Native | None:
        """What answers instead of the WSGI app, if only by redirecting the client."""
        try:
            match = self._table.find(method, path)
            if match.moved_by is not None:
                match = self._table.find(method, f"{path}/")
        except Exception as error:
            self._note_raised(error, path)
            return None
        native = self._by_route.get(id(match.route))
        if native is None or not owns(native.route.methods, method):
            return None
        self._reached.add(id(native.route))
        return native

    def _note_raised(self, error: Exception, path: str) -> None:
        """Note an error of a converter, which may need an application context, or a database; each once."""
        what = " ".join(f"{type(error).__name__}: {error}".split())
        if what not in self._raised:
            self._raised.add(what)
            self.notes.append(f"not checked, a converter raises at {path}: {what[:_SAID]}")

    # -- what was found ------------------------------------------------------------------------------------

    def find_shadows(self) -> list[Finding]:
        """Flask's rules some or all of whose requests a native rule takes."""
        return [found for view in self._views if (found := self._find_shadow(view)) is not None]

    def _find_shadow(self, view: View) -> Finding | None:
        keys = [(id(view), method) for method in view.methods]
        taken = {key[1]: self._taken[key] for key in keys if key in self._taken}
        if not taken:
            return None
        free = [sample for key in keys for sample in self._free.get(key, [])[:1]]
        takers = {route: None for samples in taken.values() for route in samples}
        natives = [self._by_route[route] for route in takers]
        samples = [sample for by in taken.values() for texts in by.values() for sample in texts[:1]]
        endpoint = view.row.target
        undeclared = [native for native in natives if endpoint not in native.replaced]
        named = _join(
            _name(native) + ", which may decline," * may_decline(native.route.target) for native in natives
        )
        whose = f"{', '.join(taken)} {view.row.path} of Flask's {endpoint!r} ({view.row.source})"
        verb = "answers" if len(natives) == 1 else "answer"
        how = f"some of it; {free[0]} still reaches Flask" if free else "all of it"
        return Finding(
            kind=PARTLY_SHADOWED if free else SHADOWED,
            path=view.row.path,
            methods=tuple(taken),
            target=endpoint,
            source=view.row.source,
            text=f"{whose}: {named} {verb} {how}. For example: {', '.join(samples[:_EXAMPLES])}",
            advice=f"remove one of them, or declare that this is intended: "
            f'@waterspout.replaces("{endpoint}") above '
            + _join(native.route.target.__qualname__ for native in undeclared),
            by=tuple(native.row.target for native in natives),
            samples=tuple(samples[:_EXAMPLES]),
            declared=not undeclared,
        )

    def find_idle(self) -> list[str]:
        """Endpoints that a handler replaces, but none of whose requests its rules take: once each."""
        found = []
        meant = [(native.route.target, name) for native in self._natives for name in sorted(native.replaced)]
        for handler, endpoint in dict.fromkeys(meant):
            views = [view for view in self._views if view.row.target == endpoint]
            own = {id(native.route): native for native in self._natives if native.route.target is handler}
            asked = [view for view in views if self._find_takers(view) is not None]
            if len(asked) < len(views) or any(own.keys() & (self._find_takers(view) or ()) for view in asked):
                continue
            if asked:
                requests = _join(f"{', '.join(view.methods)} {view.row.path}" for view in asked)
                target = next(iter(own.values())).row.target
                found.append(f"{target} replaces {endpoint!r}, but takes none of its requests ({requests})")
        return found

    def _find_takers(self, view: View) -> set[int] | None:
        """The native rules that take any of a view's requests; None: no sample reaches the view or them."""
        keys = [(id(view), method) for method in view.methods]
        taken = [self._taken[key] for key in keys if key in self._taken]
        return {route for by in taken for route in by} if taken or any(map(self._free.get, keys)) else None

    def find_let_in(self) -> list[str]:
        """Views behind a login, and the handlers that answer instead of them to everybody: once each."""
        found: dict[str, None] = {}
        for view in self._views:
            if view.row.access == "-":
                continue
            for method in view.methods:
                for route in self._taken.get((id(view), method), ()):
                    native = self._by_route[route]
                    access = find_access(native.route.target, method)
                    if access == "authenticated":
                        continue
                    says = "is public" if access else "does not say who may use it"
                    instead = f"Flask's {view.row.target!r} ({view.row.source}), which it answers instead of"
                    advice = "write @waterspout.authenticated, unless that is meant"
                    found[f"{_name(native)} {says}, but {instead}, is {view.row.access}: {advice}"] = None
        return list(found)

    def find_unreachable(self) -> list[Finding]:
        """Rules of either side that are behind others of the same side, which take all their requests."""
        native = [
            self._find_native_behind(*each) for each in zip(self._natives, self._native_paths, strict=True)
        ]
        views = [self._find_view_behind(*each) for each in zip(self._views, self._view_paths, strict=True)]
        return [found for found in (*native, *views) if found is not None]

    def _find_native_behind(self, native: Native, paths: Sequence[str]) -> Finding | None:
        if not paths:
            self.notes.append(
                f"not checked, no sample of it could be made: {native.row.path} ({native.row.target})"
            )
        asked = [(method, path) for method in native.methods for path in paths]
        takers = {}
        for method, path in asked:
            taker = self.find_native(method, path)
            if taker is native or id(native.route) in self._reached:
                return None
            if taker is not None:
                takers[id(taker.route)] = taker, f"{method} {path}"
        if not takers:
            return None
        others = [taker for taker, _ in takers.values()]
        return _behind(
            native.row, [_name(other) for other in others], [sample for _, sample in takers.values()]
        )

    def _find_view_behind(self, view: View, paths: Sequence[str]) -> Finding | None:
        keys = [(id(view), method) for method in view.methods]
        if view.shape is None or any(key in self._free or key in self._taken for key in keys):
            return None
        takers = {}
        for method in view.methods:
            for path in paths:
                for other in self._find_views(method, path):
                    takers[id(other)] = other, f"{method} {path}"
        if takers and view.is_name:
            return None  # there is no function that could go unused
        if view.library and all(other.library == view.library for other, _ in takers.values()):
            return None  # a package's own affair: Flask-RESTX has two rules at the root of each API
        if not takers:
            if not self._redirected.intersection(paths):
                self.notes.append(
                    f"not checked, Flask matches no sample of it: {view.row.path} ({view.row.target})"
                )
            return None
        names = [f"Flask's {other.row.target!r} ({other.row.source})" for other, _ in takers.values()]
        return _behind(view.row, names, [sample for _, sample in takers.values()])


def _behind(row: Row, names: Iterable[str], samples: Sequence[str]) -> Finding:
    methods = "any method" if row.methods is None else ", ".join(row.methods)
    names = list(names)
    return Finding(
        kind=UNREACHABLE,
        path=row.path,
        methods=row.methods or (),
        target=row.target,
        source=row.source,
        text=f"{row.owner} {methods} {row.path} of {row.target} ({row.source}) is never reached: "
        f"all of its requests go to {_join(names)}. For example: {', '.join(samples[:_EXAMPLES])}",
        advice="remove one of them, or put the narrower rule first",
        by=tuple(names),
        samples=tuple(samples[:_EXAMPLES]),
    )


def _bind(url_map: Any, views: Sequence[View]) -> list[Any]:
    """An adapter for each host that has rules."""
    rules = [view.rule for view in views if view.shape is not None]
    if url_map.host_matching:
        return [url_map.bind(host or "localhost") for host in dict.fromkeys(rule.host for rule in rules)]
    subdomains = dict.fromkeys(rule.subdomain for rule in rules)
    return [url_map.bind("localhost", subdomain=subdomain) for subdomain in subdomains]


def _find_undeclared(application: Application, natives: Sequence[Native]) -> list[Finding]:
    """Handlers that do not declare who may use them, if there is a login, or if other handlers declare it."""
    has_login = application.settings.get("login_loader") is not None
    says = any(word in native.row.access for native in natives for word in ("public", "authenticated"))
    if not has_login and not says:
        return []
    # Tornado has made rules of `static_path`: the setting says that those files are public.
    static_path = application.settings.get("static_path")
    open_ended = {
        native.row.target: native
        for native in natives
        if "not declared" in native.row.access
        and native.route.target not in (FallbackHandler, GuardedFallbackHandler)
        and not (
            native.route.target is StaticFileHandler and native.route.arguments.get("path") == static_path
        )
    }
    return [
        Finding(
            kind=UNDECLARED,
            path=native.row.path,
            methods=native.row.methods or (),
            target=native.row.target,
            source=native.row.source,
            text=f"{_name(native)}: nothing says who may use it ({native.row.access})",
            advice="write @waterspout.authenticated or @waterspout.public above the class or the method",
        )
        for native in open_ended.values()
    ]


def _find_stale(natives: Sequence[Native], views: Sequence[View], sites: Sequence[Site]) -> list[str]:
    """Endpoints that a handler replaces but that don't exist: once, however many rules it has. If the port is
    done, and a native rule has taken over the name for `url_for`, no similar endpoint is suggested.
    """
    if not any(site.flask is not None for site in sites):
        return []
    known = sorted({view.row.target for view in views})
    wrong = [
        (native.row.target, endpoint)
        for native in natives
        for endpoint in sorted(native.replaced.difference(known))
    ]
    names = {native.row.name for native in natives}
    return [
        f"{target} replaces {endpoint!r}, which is gone: a native rule has its name now, so "
        "@waterspout.replaces can be removed, too"
        if endpoint in names
        else f"{target} replaces {endpoint!r}, which is not an endpoint of the Flask app"
        + _guess(endpoint, known)
        for target, endpoint in dict.fromkeys(wrong)
    ]


def _guess(endpoint: str, known: Sequence[str]) -> str:
    near = get_close_matches(endpoint, known, 1)
    return f": did you mean {near[0]!r}?" if near else ""


def _name(native: Native) -> str:
    return f"native {native.row.path} of {native.row.target} ({native.row.source})"


def _join(texts: Iterable[str]) -> str:
    return " and ".join(dict.fromkeys(texts))
