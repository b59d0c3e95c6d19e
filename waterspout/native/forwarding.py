"""The metaclass of a class that stands in for another. Pure."""

from __future__ import annotations

from typing import Any


class Forwarding(type):
    """Metaclass of a class that stands in for its first base: an attribute set on it after its creation is
    set on that base, and anything keyed by the base is found by the stand-in.
    """

    def __init__(cls, *arguments: Any) -> None:
        super().__init__(*arguments)
        super().__setattr__("_is_made", True)

    def __setattr__(cls, name: str, value: Any) -> None:
        if "_is_made" in vars(cls):
            setattr(cls.__mro__[1], name, value)
        else:
            super().__setattr__(name, value)  # ABCMeta's, Generic's, Protocol's: kept per class

    def __delattr__(cls, name: str) -> None:
        delattr(cls.__mro__[1], name)

    def __eq__(cls, other: object) -> bool:
        return other is cls or cls.__mro__[1] == other  # which may be one itself

    def __hash__(cls) -> int:
        return hash(cls.__mro__[1])
