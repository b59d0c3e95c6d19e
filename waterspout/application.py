"""One port, two worlds: native rules first, the WSGI app for everything else."""

from __future__ import annotations

import difflib
import weakref
from collections.abc import Awaitable, Callable
from typing import Any

from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPInputError,
    HTTPMessageDelegate,
    HTTPServerRequest,
    RequestStartLine,
    ResponseStartLine,
)
from tornado.web import Application as TornadoApplication
from tornado.web import FallbackHandler, OutputTransform, RequestHandler
from tornado.websocket import WebSocketHandler

from waterspout import limits
from waterspout.exceptions import ConfigurationError
from waterspout.hub.local import hub
from waterspout.native.delegate import NativeDelegate, PlainHandler, RecordTransform
from waterspout.native.handler import make_lean
from waterspout.record import record_of
from waterspout.request import Request
from waterspout.routing import Table
from waterspout.websocket.handler import with_protocol
from waterspout.wsgi.container import Container
from waterspout.wsgi.environ import split_target

#: Settings that are the container's, by the name that it knows them under.
_CONTAINER_SETTINGS = {
    "wsgi_workers": "workers",
    "wsgi_threads": "threads",
    "wsgi_queue": "queue",
    "wsgi_spool": "spool",
    "wsgi_spool_reply": "spool_reply",
    "max_body_size": "max_body_size",
    "graceful_timeout": "graceful_timeout",
    "trusted_proxies": "trusted_proxies",
}


class Application(TornadoApplication):
    """A `tornado.web.Application` whose last rule is a WSGI app.

    `native`: Tornado's rules, tried in order. `wsgi`: `"module:callable"` or `"module:factory()"`, which run
    in a WSGI process by default, or a WSGI callable, which runs in threads of this process; None: no WSGI
    app, what no rule matches is 404. Of the `settings`, beside all of Tornado's:

    * `wsgi_workers`: WSGI processes; 0 means threads of this process (default: 1 for an import string)
    * `wsgi_threads` (8): lanes in each; `wsgi_queue` (256): requests that may wait for a lane
    * `wsgi_spool` (256 MiB): disk space for what slow clients have not taken, or not finished sending;
      `wsgi_spool_reply` (16 MiB): of it for one reply
    * `max_body_size` (1 GiB): for the WSGI app and streaming handlers; `native_max_body_size` (10 MiB): for a
      native handler that is handed its body whole
    * `graceful_timeout` (30 s): how long `stop()` waits; `trusted_proxies` (none): networks, as CIDR, whose
      `X-Forwarded-*` headers the app may see

    Raises ConfigurationError for what can't be. Nothing is started here: `await start()` does it, or the
    first request.
    """

    def __init__(
        self,
        native: Any = None,
        wsgi: str | Callable[..., Any] | Container | None = None,
        default_host: str | None = None,
        transforms: list[type[OutputTransform]] | None = None,
        **settings: Any,
    ) -> None:
        self.container = self._make_container(wsgi, settings)
        self.max_body_size = int(settings.get("max_body_size", limits.MAX_BODY_SIZE))
        self.native_max_body_size = int(settings.get("native_max_body_size", limits.NATIVE_MAX_BODY_SIZE))
        rules = list(native or [])
        self.native_rules = len(rules)
        if self.container is not None:
            rules.append((r".*", FallbackHandler, {"fallback": self.container}))
        super().__init__(rules, default_host, transforms, **settings)
        self.add_transform(RecordTransform)
        self._sockets: weakref.WeakSet[WebSocketHandler] = weakref.WeakSet()
        self._hub_is_open = False
        self._table = Table(self)
        self._lean: dict[type[RequestHandler], type[RequestHandler]] = {}

    def _make_container(self, wsgi: Any, settings: dict[str, Any]) -> Container | None:
        check_names(settings)
        options = {ours: settings[name] for name, ours in _CONTAINER_SETTINGS.items() if name in settings}
        if isinstance(wsgi, Container) or wsgi is None:
            if any(name.startswith("wsgi_") for name in settings):
                raise ConfigurationError("wsgi_... settings go with wsgi=, as an import string or a callable")
            return wsgi
        if not isinstance(wsgi, str) and not callable(wsgi):
            raise ConfigurationError(f"wsgi must be an import string or a WSGI callable, not {wsgi!r}")
        return Container(wsgi, **options)

    def configure(self, **changes: Any) -> None:
        """Change settings before the start, by the names that the constructor takes.

        Raises ConfigurationError.
        """
        if "native_max_body_size" in changes:
            self.native_max_body_size = changes.pop("native_max_body_size")
        self.max_body_size = changes.get("max_body_size", self.max_body_size)
        if self.container is not None:
            self.container.configure(
                **{_CONTAINER_SETTINGS.get(name, name): value for name, value in changes.items()}
            )

    # -- life --------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start the lanes of the WSGI app. Raises TargetNotFound, TargetRaised: it can't be loaded."""
        self._open_hub()
        try:
            if self.container is not None:
                await self.container.start()
        except BaseException:
            self._close_hub()
            raise

    async def stop(self, timeout: float | None = None) -> None:
        """Close WebSockets with 1001, end subscriptions, let running WSGI requests finish, stop the lanes.

        `timeout` in seconds; by default the setting `graceful_timeout`.
        """
        self.close_sockets()
        self._close_hub()
        if self.container is not None:
            await self.container.stop(timeout)

    def close_sockets(self) -> None:
        """Say 1001, going away, on every WebSocket (RFC 6455 section 7.4.1)."""
        for handler in list(self._sockets):
            if handler.ws_connection is not None:
                handler.close(1001, "the server is stopping")

    @property
    def open_sockets(self) -> int:
        """How many WebSockets are open."""
        return sum(handler.ws_connection is not None for handler in self._sockets)

    def _close_hub(self) -> None:
        if self._hub_is_open:
            self._hub_is_open = False
            hub.close()

    def _open_hub(self) -> None:
        if not self._hub_is_open:
            self._hub_is_open = True
            hub.open()

    # -- Tornado calls these -----------------------------------------------------------------------------

    def start_request(self, server_conn: object, request_conn: HTTPConnection) -> HTTPMessageDelegate:
        return _Opening(self, server_conn, request_conn)

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> Any:
        """Native rules see the path of a target in absolute form, as the WSGI app does: else
        `GET http://host/admin` would go round the native `/admin`.
        """
        if request.path[:1] not in ("/", "*"):
            _authority, request.path, request.query = split_target(request.uri or "")
        if not self._table.is_current:
            self._table = Table(self)
        return self._table.find(request) or super().find_handler(request, **kwargs)

    def get_handler_delegate(
        self,
        request: HTTPServerRequest,
        target_class: type[RequestHandler],
        target_kwargs: dict[str, Any] | None = None,
        path_args: list[bytes] | None = None,
        path_kwargs: dict[str, bytes] | None = None,
    ) -> Any:
        """The seam. A plain `FallbackHandler` in front of our container is opened as a stream: no buffered
        body, no second parse of forms, any method, no XSRF check. A subclass may guard, and goes Tornado's
        way, as every native handler does.
        """
        self._open_hub()
        fallback = (target_kwargs or {}).get("fallback")
        if target_class is FallbackHandler and isinstance(fallback, Container):
            assert request.connection is not None
            exchange = fallback.start_request(request.server_connection, request.connection)
            exchange.request = request
            return exchange
        target_class = self._improve(target_class)
        if not self._caches_templates or getattr(target_class, "_stream_request_body", False):
            stock = super().get_handler_delegate(request, target_class, target_kwargs, path_args, path_kwargs)
            return NativeDelegate(self, request, stock)
        plain = PlainHandler(self, request, target_class, target_kwargs, path_args, path_kwargs)
        # Without a body there is no limit to keep; an open WebSocket is to be remembered.
        if getattr(request, "bodiless", False) and not issubclass(target_class, WebSocketHandler):
            return plain
        return NativeDelegate(self, request, plain)

    def _improve(self, handler_class: type[RequestHandler]) -> type[RequestHandler]:
        """The class that runs in place of a handler's: the same to whoever looks at it, and cheaper."""
        lean = self._lean.get(handler_class)
        if lean is None:
            lean = make_lean(handler_class)
            if issubclass(lean, WebSocketHandler):
                lean = with_protocol(lean)
            self._lean[handler_class] = lean
        return lean

    @property
    def _caches_templates(self) -> bool:
        """Without (in Tornado's debug mode) its own delegate forgets them before each request."""
        get = self.settings.get
        return bool(get("compiled_template_cache", True) and get("static_hash_cache", True))

    def log_request(self, handler: RequestHandler) -> None:
        """The access line of a native handler; Tornado's `log_function` setting still overrides it."""
        if "log_function" in self.settings:
            super().log_request(handler)
            return
        record = record_of(handler.request)
        record.status = handler.get_status()
        record.log()

    def watch_socket(self, handler: WebSocketHandler) -> None:
        """Remember an open WebSocket, to close it when the server stops."""
        self._sockets.add(handler)


def check_names(settings: dict[str, Any]) -> None:
    """Raises ConfigurationError for a setting that is nearly one of ours: Tornado would swallow it."""
    ours = [*_CONTAINER_SETTINGS, "native_max_body_size"]
    for name in settings:
        near = difflib.get_close_matches(name, ours, n=1, cutoff=0.85)
        if name not in ours and (near or name.startswith("wsgi_")):
            hint = f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(ours)}"
            raise ConfigurationError(f"unknown setting {name!r}{hint}")


class _Opening(HTTPMessageDelegate):
    """A request whose head has not come: the head decides who its delegate is."""

    def __init__(
        self, application: Application, server_connection: object, connection: HTTPConnection
    ) -> None:
        self._application = application
        self._server_connection = server_connection
        self._connection = connection

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        assert isinstance(start_line, RequestStartLine)
        if "%00" in start_line.path:
            raise HTTPInputError("a NUL in the target")
        request: HTTPServerRequest
        if getattr(headers, "judged", False):
            request = Request(start_line, headers, self._connection, self._server_connection)
        else:
            request = HTTPServerRequest(
                connection=self._connection,
                server_connection=self._server_connection,
                start_line=start_line,
                headers=headers,
            )
        delegate = self._application.find_handler(request)
        self._delegate = delegate
        # From here on the server calls it directly.
        self.data_received = delegate.data_received  # type: ignore[method-assign]
        self.finish = delegate.finish  # type: ignore[method-assign]
        self.on_connection_close = delegate.on_connection_close  # type: ignore[method-assign]
        started: Awaitable[None] | None = delegate.headers_received(start_line, headers)
        return started

    # For who has taken hold of these before the head came.

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        received: Awaitable[None] | None = self._delegate.data_received(chunk)
        return received

    def finish(self) -> None:
        self._delegate.finish()

    def on_connection_close(self) -> None:
        self._delegate.on_connection_close()
