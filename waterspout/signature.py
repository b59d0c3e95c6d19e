"""What a function can be called with, as far as Python can tell before it is called. Pure."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from types import FunctionType
from typing import Any


def takes(function: Any, count: int, names: Iterable[str] = ()) -> bool:
    """Whether it can be called with `count` positional arguments, and keyword arguments of these `names`, as
    far as Python can tell.
    """
    signature = read_signature(function)
    if signature is None:
        return True
    try:
        signature.bind(*[None] * count, **dict.fromkeys(names))
    except TypeError:
        return False
    return True


def read_signature(function: Any) -> inspect.Signature | None:
    """Return the function's own signature; None: it can't be known."""
    if _hides_signature(function):
        return None
    try:
        # Not that of what a decorator wraps: Werkzeug's Request.application calls it with other arguments.
        return inspect.signature(function, follow_wrapped=False)
    except Exception:
        # A builtin, which has none. Or its annotations, which Python 3.14 evaluates only now (PEP 649),
        # raise: NameError, where a name is imported only for type checkers.
        return None


def _hides_signature(function: Any) -> bool:
    """Whether a decorator made it, with the signature of what it wraps (wrapt, `__signature__`): it may
    take other arguments.
    """
    stands_in = inspect.isfunction(function) and type(function) is not FunctionType
    return stands_in or "__signature__" in getattr(function, "__dict__", {})
