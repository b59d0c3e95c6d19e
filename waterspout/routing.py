"""Which rule a path belongs to."""

from __future__ import annotations

from collections.abc import Callable
from inspect import isclass
from typing import Any, cast

from tornado.httputil import HTTPServerRequest
from tornado.routing import AnyMatches, PathMatches, Rule, RuleRouter
from tornado.web import Application, FallbackHandler, RequestHandler
from tornado.websocket import WebSocketHandler

from waterspout.native.handler import LeanRequestHandler
from waterspout.wsgi.container import Container


class Route:
    """A rule that leads from a pattern of paths to a handler.

    Attributes: `match`, of its pattern; `handler_class`, which runs, and its `arguments`; `container`, the
    WSGI app's, where the handler only stands for it; `is_quick`, whether a request without a body needs
    nothing but its handler.
    """

    __slots__ = ("_rule", "arguments", "container", "handler_class", "has_groups", "is_quick", "match")

    def __init__(self, rule: Rule, handler_class: type[RequestHandler]) -> None:
        """`handler_class`: what runs in place of the rule's own."""
        self._rule = rule
        pattern = cast(PathMatches, rule.matcher).regex
        self.match = pattern.match
        self.has_groups = pattern.groups > 0
        self.handler_class = handler_class
        self.arguments: dict[str, Any] = rule.target_kwargs or {}
        fallback = self.arguments.get("fallback")
        is_fallback = rule.target is FallbackHandler and isinstance(fallback, Container)
        self.container: Container | None = fallback if is_fallback else None
        self.is_quick = (
            not is_fallback
            and getattr(handler_class, "_execute", None) is LeanRequestHandler._execute
            and not issubclass(handler_class, WebSocketHandler)
            and not getattr(handler_class, "_stream_request_body", False)
        )

    @property
    def target(self) -> Any:
        """The rule's own handler class."""
        return self._rule.target

    def match_groups(self, request: HTTPServerRequest) -> dict[str, Any]:
        """`path_args` or `path_kwargs` of a handler, where the pattern has groups."""
        return (self._rule.matcher.match(request) or {}) if self.has_groups else {}


class Table:
    """The rules of an application as one flat list, when that is all that its routers say: patterns of
    paths that lead to handlers. Tornado's own routers, one in the other, ask five functions for each rule.

    `improve` gives the class that runs in place of a handler's.
    """

    def __init__(
        self, application: Application, improve: Callable[[type[RequestHandler]], type[RequestHandler]]
    ) -> None:
        self._outer = application.default_router.rules
        self._inner = application.wildcard_router.rules
        self._size = len(self._outer) + len(self._inner)
        self._routes = [Route(rule, improve(rule.target)) for rule in _flatten(application)]
        self._literal: dict[str, Route] = {}
        for route in self._routes:
            path = _spell(route)
            found = self._search(path)  # the first one, whoever it is
            if found is not None:
                self._literal[path] = found

    @property
    def is_current(self) -> bool:
        """Nobody has added a rule since."""
        return self._size == len(self._outer) + len(self._inner)

    def find(self, path: str) -> Route | None:
        """The first route that `path` matches. None: ask Tornado's routers."""
        return self._literal.get(path) or self._search(path)

    def _search(self, path: str) -> Route | None:
        for route in self._routes:
            if route.match(path) is not None:
                return route
        return None


def _spell(route: Route) -> str:
    """The path that a pattern without groups and signs means; of any other, something that hardly comes."""
    pattern: str = route.match.__self__.pattern  # type: ignore[attr-defined]  # a method of the pattern
    return pattern.removesuffix("$").replace("\\.", ".").replace("\\-", "-")


def _flatten(application: Application) -> list[Rule]:
    """All rules; none, when the routers say more than that."""
    outer: RuleRouter = application.default_router
    if len(outer.rules) != 1 or type(outer.rules[0].matcher) is not AnyMatches:
        return []
    rules = application.wildcard_router.rules
    for rule in rules:
        leads_to_handler = isclass(rule.target) and issubclass(rule.target, RequestHandler)
        if type(rule.matcher) is not PathMatches or not leads_to_handler:
            return []
    return list(rules)
