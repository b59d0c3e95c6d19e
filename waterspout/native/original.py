"""Functions of other modules that are not called here as long as nobody has replaced them. Leaf."""

from __future__ import annotations

from types import FunctionType, ModuleType
from typing import Any


def original(function: Any, module: ModuleType) -> Any:
    """`function`, to compare with what is there later; None: it is not defined in `module`, so somebody had
    replaced it before.
    """
    # By type, not by `isinstance`: some wrappers (wrapt's) pass as functions.
    is_own = type(function) is FunctionType and function.__globals__ is vars(module)
    return function if is_own else None
