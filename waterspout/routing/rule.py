"""One native rule written Flask's way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from inspect import isasyncgenfunction, isclass, iscoroutinefunction
from typing import Any, Final, NoReturn

from tornado.httputil import HTTPServerConnectionDelegate
from tornado.routing import Matcher, Rule
from tornado.util import import_object
from tornado.web import RequestHandler

from waterspout.exceptions import ConfigurationError
from waterspout.routing.paths import is_flask_style
from waterspout.signature import takes

A_HANDLER: Final = "a handler is a subclass of tornado.web.RequestHandler"
#: What a function is called with besides the request: results of Tornado's matchers, and the rule's kwargs.
_GIVEN: Final = (
    *((), ("path_args", "path_kwargs"), ("target_kwargs",)),
    ("path_args", "path_kwargs", "target_kwargs"),
)
_WRITTEN: Final = "(path, handler), (path, handler, kwargs) or (path, handler, kwargs, name)"


@dataclass(frozen=True)
class PathRule:
    """A rule of an `Application`: a `path` as in Flask, `"/incidents/<int:id>"`, and what answers there.

    A tuple `(path, handler)`, `(path, handler, kwargs)` or `(path, handler, kwargs, name)` whose path is
    written that way is the same, with fewer options.

    * `handler`: a `RequestHandler` class, or its import name
    * `kwargs`: what its `initialize()` gets
    * `name`: for `reverse_url`, and `url_for` of the Flask app
    * `defaults`: arguments that are not in the path
    * `strict_slashes`: whether `/a` is redirected to a rule `/a/` (as Flask does), rather than answered by it

    Raises ConfigurationError: the path is not written that way, or the handler is not one.
    """

    path: str
    handler: type[RequestHandler]
    kwargs: Mapping[str, Any] | None = None
    name: str | None = None
    defaults: Mapping[str, Any] | None = None
    strict_slashes: bool = True

    def __post_init__(self) -> None:
        if isinstance(self.handler, str):
            object.__setattr__(self, "handler", _import(self.path, self.handler))
        if not is_flask_style(self.path):
            raise ConfigurationError(
                f"{self.path!r} is not written Flask's way: begin it with /, and write variable parts as "
                "<converter:name>; put a regular expression in a tuple, (pattern, handler)"
            )
        if not (isclass(self.handler) and issubclass(self.handler, RequestHandler)):
            _refuse(self.path, self.handler)
        for said, named in (("kwargs", self.kwargs), ("defaults", self.defaults)):
            _check_named(self.path, said, named)


def read_rules(rules: Iterable[Any]) -> list[Any]:
    """Rules as an `Application` takes them: those written Flask's way as `PathRule`, others as they are.

    Raises ConfigurationError: one of them is not a rule, or leads to nothing that answers; or they are not a
    list.
    """
    if isinstance(rules, str):
        module, _, name = rules.partition(":")
        example = f"`from {module} import {name}` and `native={name}`" if module and name else "native=[...]"
        raise ConfigurationError(
            f"native={rules!r} is a string, not a list of rules: write {example}; only waterspout serve "
            "--native takes the name of a list"
        )
    if isinstance(rules, Mapping) or not isinstance(rules, Iterable):
        raise ConfigurationError(f"native={rules!r}: rules are a list of tuples, {_WRITTEN}")
    return [_read(rule) for rule in rules]


def _read(rule: Any) -> Any:
    """A literal path that does not lead to a handler (but to a list of rules, a function) stays Tornado's."""
    if isinstance(rule, PathRule):
        return rule
    if isinstance(rule, Rule):
        _check_target(rule.matcher, rule.target)
        return rule
    _check_shape(rule)
    path = spell_matcher(rule[0])
    target = _import(path, rule[1]) if isinstance(rule[1], str) else rule[1]
    _check_target(rule[0], target)
    if not (isinstance(rule[0], str) and is_flask_style(rule[0])):
        return (rule[0], target, *rule[2:])
    is_handler = isclass(target) and issubclass(target, RequestHandler)
    return PathRule(rule[0], target, *rule[2:]) if is_handler or "<" in rule[0] else rule


def spell_matcher(matcher: Any) -> str:
    """What a rule matches, as its author wrote it, without the `$` that Tornado adds."""
    if isinstance(matcher, str):
        return matcher
    regex = getattr(matcher, "regex", None) or getattr(matcher, "host_pattern", None)
    return str(getattr(regex, "pattern", type(matcher).__name__)).removesuffix("$")


def spell_target(target: Any) -> str:
    """`module.name` of a function or class; of anything else, that of its class."""
    while isinstance(target, partial):
        target = target.func
    named = target if hasattr(target, "__qualname__") else type(target)
    return f"{named.__module__}.{named.__qualname__}"


def _refuse(path: str, target: Any) -> NoReturn:
    named = spell_target(target) if callable(target) else repr(target)
    raise ConfigurationError(
        f"the rule {path!r} leads to {named}, which is not a RequestHandler class: {A_HANDLER}"
    )


def _check_target(matcher: str | Matcher, target: Any) -> None:
    """Raises ConfigurationError: Tornado would call it and not await it, so its client would wait forever; or
    Tornado would skip the rule, or fail at each request.
    """
    path = spell_matcher(matcher)
    called = (target, type(target).__call__) if callable(target) and not isclass(target) else ()
    if any(iscoroutinefunction(each) or isasyncgenfunction(each) for each in called):
        raise ConfigurationError(
            f"the rule {path!r} leads to the coroutine function {spell_target(target)}: {A_HANDLER}"
        )
    if isclass(target) or isinstance(target, (list, tuple, HTTPServerConnectionDelegate)):
        return
    if not callable(target):
        _refuse(path, target)
    is_known = isinstance(matcher, str) or type(matcher).__module__ == Matcher.__module__
    if is_known and not any(takes(target, 1, names) for names in _GIVEN):
        raise ConfigurationError(
            f"the rule {path!r} leads to {spell_target(target)}, which can't be called with a request alone: "
            f"{A_HANDLER}; for a WSGI app, write waterspout.Container(app)"
        )


def _check_shape(rule: Any) -> None:
    """Raises ConfigurationError: it does not have the form of a rule."""
    if not isinstance(rule, (tuple, list)):
        raise ConfigurationError(f"{rule!r} is not a rule: rules are a list of tuples, {_WRITTEN}")
    if not (2 <= len(rule) <= 4 and isinstance(rule[0], (str, Matcher))):
        raise ConfigurationError(f"{rule!r} is not a rule: write {_WRITTEN}")
    kwargs, name = (*rule[2:], None, None)[:2]
    _check_named(rule[0], "kwargs", kwargs)
    if not isinstance(name, (str, type(None))):
        raise ConfigurationError(f"the rule {rule[0]!r}: its name must be a string, not {name!r}")


def _check_named(path: Any, said: str, values: Any) -> None:
    """Raises ConfigurationError: nothing could be called with them as keyword arguments."""
    if not isinstance(values, (Mapping, type(None))):
        hint = f"; write {_WRITTEN}" if said == "kwargs" else ""
        raise ConfigurationError(
            f"the rule {path!r}: {said} must be a dictionary or None, not {values!r}{hint}"
        )
    for name in values or ():
        if not isinstance(name, str):
            raise ConfigurationError(f"the rule {path!r}: the keys of {said} must be strings, not {name!r}")


def _import(path: str, name: str) -> Any:
    try:
        return import_object(name)
    except ImportError as error:
        raise ConfigurationError(f"the rule {path!r} leads to {name!r}: {error}") from error
