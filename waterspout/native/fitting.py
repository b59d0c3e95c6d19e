"""Whether a handler accepts what its rule passes, as far as Python can tell before a request. Leaf."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from operator import attrgetter
from types import CodeType, FunctionType
from typing import Any, Final, NamedTuple

from tornado.web import RequestHandler
from tornado.websocket import WebSocketHandler

from waterspout.exceptions import Decline
from waterspout.native.methods import defines, makes_others
from waterspout.signature import read_signature

#: Packages whose decorators, and whose methods that call others, pass on the arguments they get.
_OURS: Final = frozenset({"tornado", "waterspout"})
#: What may hold a function in a class, and how to get it.
_HOLDERS: Final[dict[type, Callable[[Any], Any]]] = {
    property: attrgetter("fget"),
    cached_property: attrgetter("func"),
    staticmethod: attrgetter("__func__"),
    classmethod: attrgetter("__func__"),
}
#: Packages whose classes are not the application's.
_ALIEN: Final = _OURS | {"builtins", "abc", "typing"}


class Given(NamedTuple):
    """What a rule passes to its handler: `groups`, the number of groups in its pattern, or arguments called
    `names`; and `kwargs`, the names of those for `initialize()`. `path`: the rule as written.
    """

    path: str
    groups: int
    names: tuple[str, ...]
    kwargs: tuple[str, ...]


def find_misfits(handler_class: type[RequestHandler], rules: Sequence[Given]) -> Iterator[str]:
    """How the `rules` that lead to the class can't call it, one sentence each: a method that none of them
    fits, or a rule that fits none of the methods. A partial fit is taken as intended: of `/orders` and
    `/orders/<int:id>`, PUT is for the second.
    """
    if makes_others(handler_class):
        return
    has_initialize = handler_class.initialize is not RequestHandler.initialize
    if _is_ours(_strip(handler_class.__init__)):
        for rule in rules:
            if rule.kwargs or has_initialize:
                yield from _find_misfit(
                    handler_class, "initialize", rule._replace(groups=0, names=rule.kwargs)
                )
    # A `prepare()` or `_execute()` of its own may change the arguments.
    if not all(_is_ours(_strip(each)) for each in (handler_class._execute, handler_class.prepare)):
        return
    methods = [*_find_called(handler_class)]
    found = {
        (rule, method): text
        for rule in rules
        for method in methods
        for text in _find_misfit(handler_class, method, rule)
    }
    for rule in rules:
        texts = [found[rule, method] for method in methods if (rule, method) in found]
        if len(texts) == len(methods):
            yield from texts[:1]  # report one mistake once
        elif rule is rules[0]:
            unfit = [each for each in methods if all((other, each) in found for other in rules)]
            yield from (found[rule, method] for method in unfit)


def _find_called(handler_class: type[RequestHandler]) -> Iterator[str]:
    """The methods that are called with the arguments from the path."""
    yield from (name.lower() for name in handler_class.SUPPORTED_METHODS if defines(handler_class, name))
    if issubclass(handler_class, WebSocketHandler) and _is_ours(_strip(handler_class.get)):
        yield "open"


def _find_misfit(handler_class: type[RequestHandler], name: str, rule: Given) -> Iterator[str]:
    function = _strip(inspect.getattr_static(handler_class, name, None))
    # Another package's decorator may pass on other arguments than it takes.
    signature = read_signature(function) if type(function) is FunctionType else None
    if signature is None:
        return
    try:
        signature.bind(None, *[None] * rule.groups, **dict.fromkeys(rule.names))
    except TypeError as error:
        count = rule.groups
        given = ", ".join(rule.names) or (f"{count} argument{'s' * (count > 1)}" if count else "no argument")
        called = f"{handler_class.__module__}.{handler_class.__qualname__}.{name}"
        empty = inspect.Parameter.empty
        parameters = signature.parameters.values()
        takes = ", ".join(str(each.replace(annotation=empty, default=empty)) for each in parameters)
        fails = f"{called}({takes}), which fails on every request: {error}"
        yield f"the rule {rule.path!r} passes {given} to {fails}"


def _strip(function: Any) -> Any:
    """The function that our decorators, and Tornado's, wrap."""
    while _is_ours(function) and hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    return function


def _is_ours(function: Any) -> bool:
    module = getattr(function, "__globals__", {}).get("__name__", "")
    return str(module).partition(".")[0] in _OURS


def may_decline(handler_class: type[RequestHandler]) -> bool:
    """Whether `Decline` occurs in the code of the class, of its decorators, or of the application's classes
    that it inherits from.
    """
    bases = [base for base in handler_class.__mro__ if base.__module__.partition(".")[0] not in _ALIEN]
    values = [value for base in bases for value in vars(base).values()]
    return any(_declines(each) for value in values for each in _find_functions(value))


def _declines(function: FunctionType) -> bool:
    words = _find_words(function.__code__)
    return "Decline" in words or any(function.__globals__.get(word) is Decline for word in words)


def _find_functions(value: Any) -> Iterator[FunctionType]:
    """A function, or that of a property or the like, and those that it wraps. No attribute of any other
    object is read: there are objects that load, or connect, when one is.
    """
    found: list[FunctionType] = []
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if (unpack := _HOLDERS.get(type(value))) is not None:
            waiting.append(unpack(value))
        elif type(value) is FunctionType and value not in found:
            found.append(value)
            yield value
            waiting.append(vars(value).get("__wrapped__"))
            for cell in value.__closure__ or ():  # of a decorator that does not use functools.wraps
                with suppress(ValueError):  # it is empty
                    waiting.append(cell.cell_contents)


def _find_words(code: CodeType) -> set[str]:
    """Names used in it, and in the functions that it defines."""
    inner = (each for each in code.co_consts if isinstance(each, CodeType))
    return set(code.co_names).union(*map(_find_words, inner))
