"""How large a request's body may be, where its server has its own limit, too. Leaf."""

from __future__ import annotations

from typing import Any


def has_limit(connection: Any) -> bool:
    """Whether the server of this `HTTPConnection` was given a `max_body_size`. Its default means nothing:
    where no limit was given, the application's applies.
    """
    return _find_given(connection) is not None


def lower_limit(connection: Any, most: int) -> int:
    """`most`, or what the server was given, if that is less (bytes)."""
    given = _find_given(connection)
    return most if given is None else min(most, given)


def _find_given(connection: Any) -> int | None:
    given: int | None = getattr(getattr(connection, "params", None), "max_body_size", None)
    return given
