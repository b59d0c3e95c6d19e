"""Whether a handler takes what its rule gives it, as far as Python can tell before a request. Leaf."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterator
from typing import Any, Final

from tornado.web import RequestHandler
from tornado.websocket import WebSocketHandler

from waterspout.native.methods import defines, makes_others

#: Whose decorators, and whose methods that call others, hand on what they are given.
_OURS: Final = frozenset({"tornado", "waterspout"})
#: What a handler that has other plans with its arguments changes before its method is called.
_ARGUMENTS: Final = frozenset({"path_args", "path_kwargs"})


def find_misfits(
    handler_class: type[RequestHandler], groups: int, names: Collection[str], kwargs: Collection[str]
) -> Iterator[str]:
    """What its methods can't be called with, a text for each, for behind the name of the rule: so many
    `groups` of its pattern, or arguments called `names`; and `kwargs`, those of its `initialize()`.
    """
    if makes_others(handler_class):
        return
    has_initialize = handler_class.initialize is not RequestHandler.initialize
    if (kwargs or has_initialize) and _is_ours(handler_class.__init__):
        yield from _find_misfit(handler_class, "initialize", 0, kwargs)
    if not _is_ours(handler_class._execute) or _changes_arguments(handler_class):
        return
    for name in _find_called(handler_class):
        yield from _find_misfit(handler_class, name, groups, names)


def _find_called(handler_class: type[RequestHandler]) -> Iterator[str]:
    """The methods that are called with what its path says."""
    yield from (name.lower() for name in handler_class.SUPPORTED_METHODS if defines(handler_class, name))
    if issubclass(handler_class, WebSocketHandler) and _is_ours(handler_class.get):
        yield "open"


def _find_misfit(
    handler_class: type[RequestHandler], name: str, count: int, names: Collection[str]
) -> Iterator[str]:
    function = inspect.getattr_static(handler_class, name, None)
    while _is_ours(function) and hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    if not inspect.isfunction(function):
        return
    try:
        # Not of what somebody else's decorator wraps: that may be called with other arguments.
        signature = inspect.signature(function, follow_wrapped=False)
    except Exception:  # its annotations, which Python 3.14 evaluates only now
        return
    try:
        signature.bind(None, *[None] * count, **dict.fromkeys(names))
    except TypeError as error:
        given = ", ".join(names) or (f"{count} argument{'s' * (count > 1)}" if count else "no argument")
        called = f"{handler_class.__module__}.{handler_class.__qualname__}.{name}"
        takes = ", ".join(signature.parameters)
        yield f"gives {given} to {called}({takes}), which fails at each request: {error}"


def _is_ours(function: Any) -> bool:
    module = getattr(function, "__globals__", {}).get("__name__", "")
    return str(module).partition(".")[0] in _OURS


def _changes_arguments(handler_class: type[RequestHandler]) -> bool:
    """Whether code of the class, or of one above it, so much as names what its methods are called with."""
    return any(
        inspect.isfunction(each) and not _ARGUMENTS.isdisjoint(each.__code__.co_names)
        for base in handler_class.__mro__
        if base.__module__.partition(".")[0] not in _OURS
        for each in vars(base).values()
    )
