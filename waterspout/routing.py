"""Which rule a path belongs to."""

from __future__ import annotations

from inspect import isclass
from typing import Any, cast

from tornado.httputil import HTTPServerRequest
from tornado.routing import AnyMatches, PathMatches, Rule, RuleRouter
from tornado.web import Application, RequestHandler


class Table:
    """The rules of an application as one flat list, when that is all that its routers say: patterns of
    paths that lead to handlers. Tornado's own routers, one in the other, ask five functions for each rule.
    """

    def __init__(self, application: Application) -> None:
        self._application = application
        self._outer = application.default_router.rules
        self._inner = application.wildcard_router.rules
        self._sizes = len(self._outer), len(self._inner)
        self._rules = _flatten(application)

    @property
    def is_current(self) -> bool:
        """Nobody has added a rule since."""
        return self._sizes == (len(self._outer), len(self._inner))

    def find(self, request: HTTPServerRequest) -> Any:
        """A delegate, or None: ask Tornado's routers."""
        path = request.path
        for match, rule in self._rules:
            found = match(path)
            if found is not None:
                owner = self._application.get_handler_delegate
                if not found.re.groups:
                    return owner(request, rule.target, rule.target_kwargs)
                return owner(request, rule.target, rule.target_kwargs, **(rule.matcher.match(request) or {}))
        return None


def _flatten(application: Application) -> list[tuple[Any, Rule]]:
    """(a pattern's `match`, its rule); empty, when the routers say more than that."""
    outer: RuleRouter = application.default_router
    if len(outer.rules) != 1 or type(outer.rules[0].matcher) is not AnyMatches:
        return []
    rules = application.wildcard_router.rules
    for rule in rules:
        leads_to_handler = isclass(rule.target) and issubclass(rule.target, RequestHandler)
        if type(rule.matcher) is not PathMatches or not leads_to_handler:
            return []
    return [(cast(PathMatches, rule.matcher).regex.match, rule) for rule in rules]
