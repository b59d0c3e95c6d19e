"""The rules of an application as one list that can be asked without Tornado's routers."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from copy import copy
from inspect import isclass
from typing import Any, Final, NamedTuple, cast

from tornado.httputil import HTTPServerRequest
from tornado.routing import AnyMatches, PathMatches, Rule, RuleRouter
from tornado.web import Application, RequestHandler

from waterspout.limits import KEPT_PATH, KEPT_PATHS
from waterspout.message.target import join_slashes
from waterspout.native.methods import owns
from waterspout.routing.paths import is_literal, spell_plain
from waterspout.routing.route import NOTHING, Match, Route
from waterspout.routing.rulemap import RuleMap

_UNCHANGING: Final = frozenset({bytes, float, int, str, uuid.UUID, type(None)})


class PlainPathMatches(PathMatches):
    """Matches a path as the WSGI app would read it, whatever its spelling, and none without a plain spelling.
    This is done in a matcher because that is the only way to tell Tornado's routers, and they decide where
    there are rules for hosts.
    """

    def match(self, request: HTTPServerRequest) -> dict[str, Any] | None:
        spelled = spell_plain(request.path)
        if spelled is None:
            return None
        path = join_slashes(spelled)
        if path != request.path:
            request = copy(request)
            request.path = path
        return super().match(request)


class _Path(NamedTuple):
    """The part of a request that Tornado's path matchers look at."""

    path: str


class Pattern:
    """A rule that is a regular expression."""

    def __init__(self, rule: Rule, route: Route) -> None:
        self.route = route
        self._matcher = cast(PathMatches, rule.matcher)
        self._match = self._matcher.regex.match
        self._has_groups = self._matcher.regex.groups > 0
        self._wants_plain = isinstance(rule.matcher, PlainPathMatches)
        self.name = rule.name
        self._bare = Match(route)
        self._denied = Match(None, denied=route.methods or frozenset())

    @property
    def text(self) -> str:
        """The regular expression."""
        return str(self._matcher.regex.pattern)

    @property
    def flags(self) -> int:
        """The flags of the regular expression, as `re.compile` takes them."""
        return int(self._matcher.regex.flags)

    def search(self, method: str, path: str) -> Match | None:
        """As `RuleMap.search`."""
        if self._wants_plain:
            spelled = spell_plain(path)
            if spelled is None:
                return None
            path = join_slashes(spelled)
        if self._match(path) is None:
            return None
        if not owns(self.route.methods, method):
            return self._denied
        return self.give(path)

    def give(self, path: str) -> Match:
        """What the handler is given for `path`, which the pattern matches."""
        if not self._has_groups:
            return self._bare
        if self._wants_plain:
            path = join_slashes(spell_plain(path) or path)
        found = self._matcher.match(_Path(path)) or {}  # type: ignore[arg-type]  # it has what is looked at
        return Match(self.route, found["path_args"], found["path_kwargs"])


class Table:
    """The rules of an application as one flat list, when its routers say no more than that: path patterns
    that lead to handlers. Tornado's own nested routers call five functions for each rule.

    `find_lean` gives the class that runs in place of a handler's.

    Attributes: `places`, maps and regular expressions in their order; `is_flat`; False: the routers say more
    than a flat list can, and have to be asked.
    """

    def __init__(
        self,
        application: Application,
        find_lean: Callable[[type[RequestHandler]], type[RequestHandler]],
    ) -> None:
        self._outer = application.default_router.rules
        self._inner = application.wildcard_router.rules
        self._size = len(self._outer) + len(self._inner)
        self.places: list[Pattern | RuleMap] = [
            rule.target
            if isinstance(rule.target, RuleMap)
            else Pattern(rule, Route(rule.target, find_lean(rule.target), rule.target_kwargs))
            for rule in _flatten(application)
        ]
        self.is_flat = bool(self.places) or not self._inner
        #: Matches by method and path, the literal ones first: saves a third of a native request with an
        #: argument when many ask for the same.
        self._known: dict[tuple[str, str], Match] = {}
        self._is_settled = all(place.is_settled for place in self.places if isinstance(place, RuleMap))
        for path in self._spell_literals():
            for method in RequestHandler.SUPPORTED_METHODS:
                found = self._search(method, path)  # the first match, whatever it is
                if self._is_settled and _may_be_kept(method, path, found):
                    self._known[method, path] = found
        self._literal = dict(self._known)

    @property
    def is_current(self) -> bool:
        """Whether no rule has been added since."""
        return self._size == len(self._outer) + len(self._inner)

    def find(self, method: str, path: str) -> Match:
        """Find the owner of `path`, as it is on the wire, and `method`: the first rule that matches both."""
        found = self._known.get((method, path))
        if found is None:
            found = self._search(method, path)
            if self._is_settled and _may_be_kept(method, path, found):
                if len(self._known) >= len(self._literal) + KEPT_PATHS:
                    self._known = dict(self._literal)
                self._known[method, path] = found
        return found

    def _search(self, method: str, path: str) -> Match:
        denied: frozenset[str] = frozenset()
        first: Match | None = None
        for place in self.places:
            found = place.search(method, path)
            if found is None:
                continue
            if not found.denied:
                return found._replace(denied=denied) if denied else found
            if not denied:
                first = _give(place, path, found.denied)
            denied |= found.denied
        return NOTHING if first is None else first._replace(denied=denied)

    def _spell_literals(self) -> list[str]:
        """The paths without variable parts that rules may mean; they are looked up, not searched for."""
        spelled: list[str] = []
        for place in self.places:
            if isinstance(place, RuleMap):
                spelled += [rule.path for rule in place.path_rules if "<" not in rule.path]
            else:
                spelled.append(place.text.removesuffix("$").replace("\\.", ".").replace("\\-", "-"))
        # Each is searched for in all places: a thousand with variable parts would cost a second for nothing.
        return [path for path in spelled if is_literal(path)]


def _may_be_kept(method: str, path: str, found: Match) -> bool:
    """Whether a match may be cached: the handler might change a value that a custom converter has made, so it
    is made anew for each request.
    """
    return (
        found.route is not None
        and not found.denied
        and len(path) <= KEPT_PATH
        and method in RequestHandler.SUPPORTED_METHODS
        and (not found.kwargs or _UNCHANGING.issuperset(map(type, found.kwargs.values())))
    )


def _give(place: Pattern | RuleMap, path: str, methods: frozenset[str]) -> Match | None:
    """The match for `path`, with any of `methods`: that of the handler that answers 405."""
    return place.give(path) if isinstance(place, Pattern) else place.find_owner(methods, path)


def _flatten(application: Application) -> list[Rule]:
    """All rules; none, when the routers say more than a flat list can."""
    outer: RuleRouter = application.default_router
    if len(outer.rules) != 1 or type(outer.rules[0].matcher) is not AnyMatches:
        return []
    rules = application.wildcard_router.rules
    return list(rules) if all(is_simple(rule) for rule in rules) else []


def is_simple(rule: Rule) -> bool:
    """Whether a flat list can hold it: a path pattern leading to a handler, or rules written Flask's way."""
    target: Any = rule.target
    if isinstance(target, RuleMap):
        return type(rule.matcher) is AnyMatches
    leads_to_handler = isclass(target) and issubclass(target, RequestHandler)
    return type(rule.matcher) in (PathMatches, PlainPathMatches) and leads_to_handler
