"""A class that stands in for another."""

from __future__ import annotations

from typing import Any


class Forwarding(type):
    """The type of a class that stands in for its first base: what is set on it is set there."""

    def __setattr__(cls, name: str, value: Any) -> None:
        setattr(cls.__mro__[1], name, value)

    def __delattr__(cls, name: str) -> None:
        delattr(cls.__mro__[1], name)
