"""Turns rules as people write them into rules as Tornado's routers take them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from copy import copy
from dataclasses import replace
from functools import partial
from inspect import isclass, isroutine
from typing import TYPE_CHECKING, Any, Final, cast

from tornado.routing import AnyMatches, PathMatches, Rule
from tornado.web import FallbackHandler, RequestHandler
from werkzeug.routing import BaseConverter

from waterspout.exceptions import AccessUndeclared, ConfigurationError
from waterspout.message.proxies import PROXY_SETTINGS
from waterspout.native.access import ask_loader_for_tornados, find_undeclared, find_unguarded, lets_nobody_in
from waterspout.native.fitting import Given, find_misfits
from waterspout.native.login import sends_to_login
from waterspout.native.methods import answers_nothing
from waterspout.routing.native_names import add_names
from waterspout.routing.paths import is_foreign, is_literal
from waterspout.routing.rule import A_HANDLER, PathRule, read_rules, spell_matcher, spell_target
from waterspout.routing.rulemap import RuleMap
from waterspout.routing.table import PlainPathMatches
from waterspout.wsgi.container import Container
from waterspout.wsgi.naming import Names, find_arguments

if TYPE_CHECKING:
    from waterspout.application import Application

#: Settings with which Tornado refuses requests from other sites, before `prepare()`.
_GUARDS: Final = ("xsrf_cookies", "cross_origin_protection")
#: How many doubts are listed for one handler class.
_SAID: Final = 3


class GuardedFallbackHandler(FallbackHandler):
    """Stands in front of a WSGI app if the application sets one of `_GUARDS`. A plain `FallbackHandler` is
    never instantiated there: the app is given the request as it arrives.
    """


def read_converters(given: Any) -> Mapping[str, type[BaseConverter]]:
    """The setting `url_converters`; none by default. Raises ConfigurationError."""
    if isinstance(given, Mapping) and all(hasattr(each, "to_python") for each in given.values()):
        return given
    if given is None:
        return {}
    raise ConfigurationError(
        "url_converters is a dictionary from the names of converters to their classes, subclasses of "
        f"werkzeug.routing.BaseConverter, not {given!r}"
    )


class Gathering:
    """Gathers the rules of an `application`, whose `settings` are as they were given.

    `find_lean` gives the class that runs in place of a handler's. `container`: that of the WSGI app behind
    the rules, if there is one; its `url_for` is told their names.

    Attributes: `maps`, of all rules that are written Flask's way; `sent_to_login`, handlers that send users
    who are not signed in to `login_url`.
    """

    def __init__(
        self,
        application: Application,
        find_lean: Callable[[type[RequestHandler]], type[RequestHandler]],
        container: Container | None,
        settings: Mapping[str, Any],
    ) -> None:
        self._application = application
        self._find_lean = find_lean
        self._container = container
        self._converters = read_converters(settings.get("url_converters"))
        self._has_login = settings.get("login_loader") is not None
        self._guards_others = any(settings.get(name) for name in _GUARDS)
        self._undeclared: dict[str, str] = {}
        #: The names that `url_for` of the Flask app is told.
        self.names = container.link.native if container is not None else Names()
        self.maps: list[RuleMap] = []
        self._doubts: list[str] = []
        self._given: dict[type[RequestHandler], list[Given]] = {}
        self.sent_to_login: list[type[RequestHandler]] = []

    @property
    def doubts(self) -> list[str]:
        """Probable mistakes, one line each, for people to read."""
        doubts = list(self._doubts)
        for handler_class, given in self._given.items():
            misfits: list[str] = []
            with suppress(Exception):  # what can't be inspected isn't doubted
                misfits += find_misfits(handler_class, given)
            doubts += misfits[:_SAID]
            if more := len(misfits[_SAID:]):
                named = f"{handler_class.__module__}.{handler_class.__qualname__}"
                doubts.append(f"{more} more such {'rules lead' if more > 1 else 'rule leads'} to {named}")
        return doubts

    def gather(self, rules: Iterable[Any], *handlers: Any) -> list[Any]:
        """Return Tornado's rules: adjacent ones that are written Flask's way become one map in their place.
        `handlers`: others, which answer without a rule.

        Raises ConfigurationError: a rule can't be read; its subclass AccessUndeclared: it is not declared who
        may use a handler.
        """
        for handler in handlers:
            self._check_access(handler)
        gathered = self._gather(rules)
        undeclared, self._undeclared = self._undeclared, {}
        if undeclared:
            raise AccessUndeclared(
                f"{' '.join(undeclared.values())} The application has a login_loader: write "
                "@waterspout.authenticated or @waterspout.public above the class or the method"
            )
        return gathered

    def _gather(self, rules: Iterable[Any]) -> list[Any]:
        gathered: list[Any] = []
        neighbours: list[PathRule] = []
        for rule in read_rules(rules):
            if isinstance(rule, PathRule):
                self._check_access(rule.handler)
                self._check_proxies(rule.path, (rule.kwargs or {}).get("fallback"))
                self._doubt_path(rule.path)
                names = dict.fromkeys((*find_arguments(rule.path), *(rule.defaults or ())))
                given = Given(rule.path, 0, tuple(names), tuple(rule.kwargs or ()))
                self._given.setdefault(rule.handler, []).append(given)
                neighbours.append(replace(rule, handler=self._guard(rule.handler, rule.kwargs)))
                continue
            gathered += self._join(neighbours)
            neighbours = []
            gathered.append(self._take(rule))
        return gathered + self._join(neighbours)

    def _join(self, rules: list[PathRule]) -> list[Rule]:
        """One rule for all `rules`; no rule if there are none."""
        if not rules:
            return []
        is_guarded = self._container is not None
        rule_map = RuleMap(rules, self._application, self._find_lean, self._converters, is_guarded=is_guarded)
        self.maps.append(rule_map)
        self.names.converters.update(self._converters)
        add_names(self.names, rules)
        return [Rule(AnyMatches(), rule_map)]

    def _take(self, given: Any) -> Rule:
        """One Tornado rule, as its routers would make it, with our checks and changes."""
        if isinstance(given, Rule):
            rule = copy(given)
        else:
            matcher, *rest = given
            rule = Rule(_compile(matcher) if isinstance(matcher, str) else matcher, *rest)
        target: Any = rule.target
        self._check_access(target)
        is_group = isinstance(target, (tuple, list))
        if is_group and self._container is not None and type(rule.matcher) is PathMatches:
            rule.matcher = PlainPathMatches(rule.matcher.regex)
        if is_group:
            rule.target = self._gather(target)
            return rule
        self._doubt_call(rule)
        self._doubt_pattern(rule)
        fallback = rule.target_kwargs.get("fallback")
        leads_to_app = isinstance(fallback, Container)
        rule.target = self._guard(target, rule.target_kwargs)
        self._check_proxies(spell_matcher(rule.matcher), target, fallback)
        is_handler = isclass(target) and issubclass(target, RequestHandler) and not leads_to_app
        if is_handler and type(rule.matcher) in (PathMatches, PlainPathMatches):
            regex = cast(PathMatches, rule.matcher).regex
            groups, path = 0 if regex.groupindex else regex.groups, spell_matcher(rule.matcher)
            given = Given(path, groups, tuple(regex.groupindex), tuple(rule.target_kwargs or ()))
            self._given.setdefault(target, []).append(given)
        if self._container is not None and is_handler and type(rule.matcher) is PathMatches:
            rule.matcher = PlainPathMatches(rule.matcher.regex)
        return rule

    def _guard(self, target: Any, kwargs: Mapping[str, Any] | None) -> Any:
        """Guard a WSGI app where Tornado would guard the handler in front of it: the app may have no guard of
        its own.
        """
        leads_to_app = target is FallbackHandler and isinstance((kwargs or {}).get("fallback"), Container)
        return GuardedFallbackHandler if leads_to_app and self._guards_others else target

    def _check_proxies(self, path: str, *targets: Any) -> None:
        """How a request's client and root path are found is configured once, for both sides: a second setting
        would apply to some requests only. Raises ConfigurationError.
        """
        for target in targets:
            if isinstance(target, Container) and not target.proxies.adds_nothing_to(
                self._application.proxies
            ):
                raise ConfigurationError(
                    f"the rule {path!r} leads to a Container with {', '.join(PROXY_SETTINGS)} of its own: "
                    "here the application sets these, for both sides; give them to waterspout.Application"
                )

    def _doubt_pattern(self, rule: Rule) -> None:
        """`url("/items/<int:id>", ...)` and the like are regular expressions, whatever they look like."""
        if not isinstance(rule.matcher, PathMatches):
            return
        pattern = rule.matcher.regex.pattern.removesuffix("$")
        self._doubt_path(pattern)
        if "<" in pattern and "(?" not in pattern:
            self._doubts.append(
                f"the rule {pattern!r} is a regular expression, because of the url() or Rule() around it, "
                "and matches only these exact characters: for Flask's notation write a tuple, or PathRule"
            )

    def _doubt_path(self, path: str) -> None:
        """Doubt a path that was probably meant in Flask's notation, but is taken literally."""
        if is_foreign(path):
            self._doubts.append(
                f"the rule {path!r} matches only these exact characters: write a variable part as "
                "<name> or <int:name>"
            )

    def _doubt_call(self, rule: Rule) -> None:
        """Tornado calls a function, or a class that is no handler, with the request, and ignores the result.
        (Authors of callable objects, like `WSGIContainer`, know that.)
        """
        target: Any = rule.target
        if isclass(target):
            is_called = not issubclass(target, RequestHandler)
        else:
            is_called = isroutine(target) or isinstance(target, partial)
        if is_called:
            self._doubts.append(
                f"the rule {spell_matcher(rule.matcher)!r} leads to {spell_target(target)}, which is not a "
                "RequestHandler class: it is called with the request, and has to answer that itself "
                f"(request.connection); what it returns is ignored; {A_HANDLER}"
            )

    def _check_access(self, target: Any) -> None:
        """Deny by default: where there is a login, each handler has to declare who may use it."""
        if not (isclass(target) and issubclass(target, RequestHandler)) or target is FallbackHandler:
            return
        named = f"{target.__module__}.{target.__qualname__}"
        unguarded = find_unguarded(target)
        if answers_nothing(target):
            self._doubts.append(
                f"{named} defines no method (get, post, ...) and no prepare(): it answers 405 to everything"
            )
        elif unguarded:
            self._doubts.append(f"{named}: {unguarded}")
        if sends_to_login(target) and target not in self.sent_to_login:
            self.sent_to_login.append(target)
        if not self._has_login:
            if lets_nobody_in(target):
                self._doubts.append(
                    f"{named} is authenticated, but lets nobody in: give the application a login_loader, or "
                    "the handler a get_current_user()"
                )
            return
        if unguarded:
            raise ConfigurationError(f"{named}: {unguarded}")
        ask_loader_for_tornados(target)
        undeclared = find_undeclared(target)
        if undeclared:
            self._undeclared[named] = f"{named}: who may use {', '.join(undeclared)}?"


def _compile(pattern: str) -> PathMatches:
    """Raises ConfigurationError: not a regular expression, or one that no path can match."""
    if pattern[:1] not in ("", "/", ".") and is_literal(pattern):
        raise ConfigurationError(f"the rule {pattern!r} matches nothing: write {'/' + pattern!r}")
    try:
        return PathMatches(pattern)
    except (re.error, AssertionError) as error:
        raise ConfigurationError(f"the rule {pattern!r} can't be read: {error}") from error
