"""A regular expression in front of a WSGI app."""

from __future__ import annotations

from copy import copy
from typing import Any

from tornado.httputil import HTTPServerRequest
from tornado.routing import PathMatches

from waterspout.routing.paths import is_plain
from waterspout.wsgi.environ import join_slashes


class PlainPathMatches(PathMatches):
    """Asked about a path as the app would read it, and not at all about one that it would read in another
    way: Tornado's routers know no other place to say so, and they decide where there are rules for hosts.
    """

    def match(self, request: HTTPServerRequest) -> dict[str, Any] | None:
        if not is_plain(request.path):
            return None
        path = join_slashes(request.path)
        if path != request.path:
            request = copy(request)
            request.path = path
        return super().match(request)
