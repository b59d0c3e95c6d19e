"""A regular expression in front of a WSGI app."""

from __future__ import annotations

from typing import Any

from tornado.httputil import HTTPServerRequest
from tornado.routing import PathMatches

from waterspout.routing.paths import is_plain


class PlainPathMatches(PathMatches):
    """Not asked about a path that the app would read in another way: Tornado's routers know no other place
    to say so, and they decide where there are rules for hosts.
    """

    def match(self, request: HTTPServerRequest) -> dict[str, Any] | None:
        return super().match(request) if is_plain(request.path) else None
