"""How large a request's body may be, where its server has a limit of its own, too. Leaf."""

from __future__ import annotations

from typing import Any


def find_size(connection: Any, most: int) -> int:
    """`most`, or what `max_body_size` of the server of this `HTTPConnection` says, if that is less (bytes).

    Its default says nothing: whoever gave no limit there means the application's.
    """
    given: int | None = getattr(getattr(connection, "params", None), "max_body_size", None)
    return most if given is None else min(most, given)
