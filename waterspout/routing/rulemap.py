"""Native rules written Flask's way, matched by Werkzeug."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tornado.httputil import HTTPInputError, HTTPMessageDelegate, HTTPServerRequest
from tornado.routing import PathMatches, ReversibleRouter
from tornado.routing import Rule as TornadoRule
from tornado.web import RequestHandler
from werkzeug.exceptions import BadHost, MethodNotAllowed, NotFound
from werkzeug.routing import BaseConverter, BuildError, Map, RequestRedirect, Rule

from waterspout.exceptions import ConfigurationError
from waterspout.native.handler import LeanRequestHandler
from waterspout.native.methods import find_methods
from waterspout.native.request import on_demand
from waterspout.routing.paths import decode_path, find_slip
from waterspout.routing.route import Match, Route
from waterspout.routing.rule import PathRule
from waterspout.wsgi.naming import find_arguments

if TYPE_CHECKING:
    from waterspout.application import Application

#: The host in a URL where the host does not matter.
_HOST = "localhost"


class RuleMap(ReversibleRouter):
    """Adjacent rules as one map: `merge_slashes` is off, and a path leads to its most specific rule, whatever
    their order, as in Flask.

    `find_lean` gives the class that runs in place of a handler's. `converters`: custom ones, by name.
    `is_guarded`: a WSGI app stands behind the native rules. Raises ConfigurationError: Werkzeug can't read a
    rule.
    """

    def __init__(
        self,
        rules: Sequence[PathRule],
        application: Application,
        find_lean: Callable[[type[RequestHandler]], type[RequestHandler]],
        converters: Mapping[str, type[BaseConverter]],
        *,
        is_guarded: bool = False,
    ) -> None:
        self._is_guarded = is_guarded
        self.path_rules = rules
        self._application = application
        #: Whether a path always leads to the same rule: a converter with a `to_python` of its own may refuse
        #: it later.
        self.is_settled = all(
            made.to_python.__module__ == BaseConverter.__module__ for made in converters.values()
        )
        self._map = Map(converters=converters, merge_slashes=False)
        self._routes: dict[int, Route] = {}
        #: Each rule as it was written, as Werkzeug has it, and where it leads.
        self.listed: list[tuple[PathRule, Rule, Route]] = []
        self._named: dict[str, list[PathRule]] = {}
        #: What `lead` was last asked, and its answer.
        self._led: tuple[str, str, Route | None] = ("", "", None)
        self._roots: set[str] = set()
        for rule in rules:
            self._add(rule, find_lean(rule.handler))
        self._has_any_root = any("<" in root for root in self._roots)
        self._adapter = self._map.bind(_HOST)
        self._map.update()
        refusing = Route(LeanRequestHandler, LeanRequestHandler, {})
        self._refuses = Match(refusing)

    def _add(self, rule: PathRule, handler_class: type[RequestHandler]) -> None:
        methods = find_methods(rule.handler)
        made = Rule(
            rule.path,
            endpoint=rule.name or rule.handler,
            methods=methods,
            defaults=rule.defaults,
            strict_slashes=rule.strict_slashes,
        )
        if methods is not None:
            made.methods = set(methods)  # Werkzeug adds HEAD to the GET of a WebSocket, too
        try:
            self._map.add(made)
        except (LookupError, SyntaxError, TypeError, ValueError) as error:
            slip = find_slip(rule.path, self._map.converters)
            raise ConfigurationError(f"the rule {rule.path!r} can't be read: {error}{slip}") from error
        route = Route(rule.handler, handler_class, dict(rule.kwargs or {}))
        self._routes[id(made)] = route
        self.listed.append((rule, made, route))
        self._roots.add(_find_root(rule.path))
        if rule.name is not None:
            self._named.setdefault(rule.name, []).append(rule)

    def renew(self, find_lean: Callable[[type[RequestHandler]], type[RequestHandler]]) -> None:
        """Switch to the classes that `find_lean` gives now."""
        self._led = ("", "", None)
        self.__dict__.pop("rules", None)
        for place, (rule, made, route) in enumerate(self.listed):
            renewed = Route(route.target, find_lean(route.target), route.arguments)
            self._routes[id(made)] = renewed
            self.listed[place] = (rule, made, renewed)

    def search(self, method: str, path: str) -> Match | None:
        """Find the owner of `path`, as it is on the wire, and `method`. None: no rule here has that path."""
        path = decode_path(path)
        if not self._has_any_root and _find_root(path) not in self._roots:
            return None  # saves Werkzeug's search for most paths of the WSGI app
        # Werkzeug takes //a for /a. So does a Flask app behind us: that must not be a way around our rules.
        if path[:1] != "/" or (path[1:2] == "/" and not self._is_guarded):
            return None
        try:
            rule, values = self._adapter.match(path, method=method, return_rule=True)
        except MethodNotAllowed as error:
            return Match(None, denied=frozenset(error.valid_methods or ()))
        except NotFound:
            return None
        except RequestRedirect:
            return Match(None, moved_by=self)
        return Match(self._routes[id(rule)], kwargs=values)

    def lead(self, method: str, path: str) -> Route | None:
        """The route that answers here, if only that the method is not allowed. None: there is none."""
        led = self._led
        if led[:2] != (method, path):
            match = self.search(method, path)
            if match is not None and match.denied:
                match = self.find_owner(match.denied, path)
            led = self._led = method, path, match and match.route
        return led[2]

    @on_demand
    def rules(self) -> list[TornadoRule]:
        """The rules as a Tornado router has them, for callers that look up which one a request matched:
        OpenTelemetry and Datadog do, for each request, and name it.
        """
        return [TornadoRule(_Leads(self, rule, route), route.target) for rule, _, route in self.listed]

    def find_owner(self, methods: frozenset[str], path: str) -> Match:
        """What answers 405 for `path`, which rules match with `methods`: one of them, unless an earlier rule
        redirects each of `methods`.
        """
        found = (self.search(method, path) for method in sorted(methods))
        return next((match for match in found if match is not None and match.moved_by is None), self._refuses)

    def find_location(self, request: HTTPServerRequest) -> str:
        """Where a request is redirected if its path should be written differently: an absolute URL, as in
        Flask.

        Raises HTTPInputError: its host is not a name that a URL may have.
        """
        root_path = getattr(request, "root_path", "")
        try:
            request.host.encode("idna")  # Werkzeug checks it itself from 2.3 on
            adapter = self._map.bind(request.host, script_name=root_path or "/", url_scheme=request.protocol)
        except (BadHost, UnicodeError):
            raise HTTPInputError(f"an invalid host: {request.host!r}") from None
        try:
            adapter.match(decode_path(request.path), method=request.method, query_args=request.query)
        except RequestRedirect as redirect:
            return redirect.new_url
        raise AssertionError(f"{request.path!r} has not moved")

    # -- Tornado calls these, where its own routers decide -------------------------------------------------

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> HTTPMessageDelegate | None:
        match = self.search(request.method or "", request.path)
        if match is not None and match.denied:
            match = self.find_owner(match.denied, request.path)._replace(denied=match.denied)
        return match and self._application.open_match(request, match)

    def reverse_url(self, name: str, *args: Any, **kwargs: Any) -> str | None:
        """The path of the rule of that name; None: there is none here. `args` are in the order of the path.

        Raises ValueError: the arguments don't fit the rule.
        """
        rules = self._named.get(name)
        if rules is None:
            return None
        places = [find_arguments(rule.path) for rule in rules]
        names = next((each for each in places if len(each) == len(args)), places[-1])
        if len(args) > len(names):
            raise ValueError(f"{name!r} takes {len(names)} arguments, not {len(args)}")
        values = {**dict(zip(names, args, strict=False)), **kwargs}
        try:
            return self._adapter.build(name, values)
        except BuildError as error:
            paths = " or ".join(repr(rule.path) for rule in rules)
            raise ValueError(f"the rule {paths} named {name!r} can't be built with {values}") from error


class _Leads(PathMatches):
    """Whether a request leads to `route`, and how the path of its `rule` is written: as one of Tornado's
    patterns, because Datadog looks at no other matcher.
    """

    def __init__(self, rule_map: RuleMap, rule: PathRule, route: Route) -> None:
        self._map = rule_map
        self._rule = rule
        self._route = route
        super().__init__(re.escape(rule.path))

    def match(self, request: HTTPServerRequest) -> dict[str, Any] | None:
        is_led = self._map.lead(request.method or "", request.path) is self._route
        return {} if is_led else None

    def _find_groups(self) -> tuple[str, int]:
        """Named as in `tornado.routing.PathMatches` (6.6.1): the pattern, and how many of its groups are left
        out there. Flask's notation leaves out none.
        """
        return self._rule.path, 0


def _find_root(path: str) -> str:
    """The beginning of a path, up to its second slash; `//a` begins like `/a`."""
    return path.lstrip("/").partition("/")[0]
