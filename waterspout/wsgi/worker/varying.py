"""Replies of the WSGI app to requests that a native handler has declined because of their cookies. Leaf.

Other clients get the handler's reply: a shared cache has to be told, though the view looks at no cookie
(RFC 9110 section 12.5.5).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def vary_with_cookies(start_response: Callable[..., Any]) -> Callable[..., Any]:
    """`start_response`, with Cookie among the names in Vary. Invalid headers are passed on unchanged, and
    refused there.
    """

    def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        if isinstance(headers, list) and not _varies(headers):
            headers = [*headers, ("Vary", "Cookie")]
        return start_response(status, headers, exc_info) if exc_info else start_response(status, headers)

    return start


def _varies(headers: list[tuple[str, str]]) -> bool:
    try:
        said = [value for name, value in headers if name.lower() == "vary"]
        names = {name.strip().lower() for value in said for name in value.split(",")}
    except (AttributeError, TypeError, ValueError):
        return False  # not even well-formed
    return not names.isdisjoint(("*", "cookie"))
