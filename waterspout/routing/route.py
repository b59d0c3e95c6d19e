"""Where a rule leads, and what a search for a path and a method finds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tornado.web import ErrorHandler, FallbackHandler, RequestHandler
from tornado.websocket import WebSocketHandler

from waterspout.native.handler import LeanRequestHandler
from waterspout.native.methods import Methods, find_methods
from waterspout.wsgi.container import Container

if TYPE_CHECKING:
    from waterspout.routing.rulemap import RuleMap

NO_METHODS: Final[frozenset[str]] = frozenset()


class Route:
    """Where a rule leads.

    Attributes: `target`, the rule's own handler class; `handler_class`, which runs in its place, and its
    `arguments`; `methods`, those that it owns; `container`, that of the WSGI app, if the handler only stands
    for one; `is_quick`, whether a request whose body is all here needs only its handler.
    """

    __slots__ = ("arguments", "container", "handler_class", "is_quick", "methods", "target")

    def __init__(
        self, target: type[RequestHandler], handler_class: type[RequestHandler], arguments: dict[str, Any]
    ) -> None:
        self.target = target
        self.handler_class = handler_class
        self.arguments = arguments
        self.methods: Methods = find_methods(target)
        fallback = arguments.get("fallback")
        is_fallback = target is FallbackHandler and isinstance(fallback, Container)
        self.container: Container | None = fallback if is_fallback else None
        self.is_quick = (
            not is_fallback
            and getattr(handler_class, "_execute", None) is LeanRequestHandler._execute
            and not issubclass(handler_class, WebSocketHandler)
            and not getattr(handler_class, "_stream_request_body", False)
        )


class MovedHandler(LeanRequestHandler):
    """Redirects the client to `location`, with the same method and body (308, RFC 9110 section 15.4.9)."""

    def initialize(self, location: str) -> None:
        self._location = location

    def prepare(self) -> None:
        self.redirect(self._location, status=308)

    def check_xsrf_cookie(self) -> None:
        """Do nothing: the client is checked at the location that it is sent to."""

    def check_trusted_origin(self, origin: str) -> bool:
        """As `check_xsrf_cookie`."""
        return True


class OutsideHandler(ErrorHandler):
    """Answers any method; `ErrorHandler` by itself answers 405 to one that Tornado doesn't know."""

    def initialize(self, status_code: int) -> None:
        super().initialize(status_code)
        self.SUPPORTED_METHODS = (self.request.method or "",)


class Match(NamedTuple):
    """What a search found.

    * `route`: the one that answers; None: there is none
    * `args`, `kwargs`: for the handler's method
    * `denied`: methods of native handlers at this path, when none of them owns the requested one: then
      `route` is the WSGI app's; or, if there is none, that of a handler that can only say so
    * `moved_by`: the map that wants the path to end with a slash
    """

    route: Route | None
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = {}
    denied: frozenset[str] = NO_METHODS
    moved_by: RuleMap | None = None


NOTHING: Final = Match(None)
