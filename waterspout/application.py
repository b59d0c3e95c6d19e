"""One port, two worlds: native rules first, the WSGI app for everything else."""

from __future__ import annotations

import difflib
import sys
import weakref
from collections.abc import Awaitable, Callable
from typing import Any, cast

from tornado.httputil import (
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerRequest,
    RequestStartLine,
    ResponseStartLine,
)
from tornado.web import Application as TornadoApplication
from tornado.web import FallbackHandler, OutputTransform, RequestHandler
from tornado.websocket import WebSocketHandler

from waterspout import limits
from waterspout.closing import may_serve
from waterspout.exceptions import ConfigurationError
from waterspout.hub.local import hub
from waterspout.origin import SERVER
from waterspout.record import Record, make_request_id
from waterspout.wsgi.container import Container
from waterspout.wsgi.environ import split_target
from waterspout.wsgi.reply import Reply

#: Settings that are the container's, by the name that it knows them under.
_CONTAINER_SETTINGS = {
    "wsgi_workers": "workers",
    "wsgi_threads": "threads",
    "wsgi_queue": "queue",
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
        self.add_transform(_RecordTransform)
        self._sockets: weakref.WeakSet[WebSocketHandler] = weakref.WeakSet()
        self._hub_is_open = False

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

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> Any:
        """Native rules see the path of a target in absolute form, as the WSGI app does: else
        `GET http://host/admin` would go round the native `/admin`.
        """
        if request.path[:1] not in ("/", "*"):
            _authority, request.path, request.query = split_target(request.uri or "")
        return super().find_handler(request, **kwargs)

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
        delegate = super().get_handler_delegate(request, target_class, target_kwargs, path_args, path_kwargs)
        return _NativeDelegate(self, request, delegate)

    def log_request(self, handler: RequestHandler) -> None:
        """The access line of a native handler; Tornado's `log_function` setting still overrides it."""
        if "log_function" in self.settings:
            super().log_request(handler)
            return
        record = _record_of(handler.request)
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


class _NativeDelegate(HTTPMessageDelegate):
    """Tornado's own delegate, with a limit to the body: `native_max_body_size` where the handler is handed
    it whole, which means that it lies in memory; `max_body_size` where the handler streams.

    A streaming handler may set a lower limit of its own, as ever, by `set_max_body_size` in `prepare`.
    """

    def __init__(self, application: Application, request: HTTPServerRequest, delegate: Any) -> None:
        self._application = application
        self._request = request
        self._delegate = delegate
        streams = bool(delegate.stream_request_body)
        self._limit = application.max_body_size if streams else application.native_max_body_size
        self._received = 0
        self._refusal: Reply | None = None
        self._ignored = False

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        connection: Any = self._request.connection
        self._ignored = not may_serve(connection)
        if self._ignored:
            return None
        headers["X-Request-Id"] = _record_of(self._request).request_id
        # The limit is ours, and so is the answer: 413, where Tornado would say 400.
        connection.set_max_body_size(sys.maxsize)
        length = headers.get("Content-Length", "").lstrip("0")
        if length.isascii() and length.isdecimal() and int(length[:20]) > self._limit:
            # What is beyond sys.maxsize Tornado refuses to read: there is nothing to wait for.
            self._refuse(headers, linger=len(length) < 19)
            return None
        return cast("Awaitable[None] | None", self._delegate.headers_received(start_line, headers))

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        if self._refusal is not None:
            self._refusal.discard(len(chunk))
        if self._refusal is not None or self._ignored:
            return None
        self._received += len(chunk)
        if self._received > self._limit:
            self._delegate.on_connection_close()  # drops what it holds; a streaming handler is told
            self._refuse(self._request.headers, linger=True)
            return None
        return cast("Awaitable[None] | None", self._delegate.data_received(chunk))

    def finish(self) -> None:
        if self._refusal is not None:
            self._refusal.finish()
        elif not self._ignored:
            self._delegate.finish()
            self._watch()

    def on_connection_close(self) -> None:
        if self._refusal is not None:
            self._refusal.abandon()
        elif not self._ignored:
            self._delegate.on_connection_close()

    def execute(self) -> Awaitable[None] | None:
        """The whole request is here: `Application.__call__`, for nested applications."""
        executed = self._delegate.execute()
        self._watch()
        return cast("Awaitable[None] | None", executed)

    def _watch(self) -> None:
        handler = getattr(self._delegate, "handler", None)
        if isinstance(handler, WebSocketHandler):
            self._application.watch_socket(handler)

    def _refuse(self, headers: HTTPHeaders, *, linger: bool) -> None:
        """Answer 413; or cut, when a streaming handler has begun a reply. `linger`: more is coming."""
        request, record = self._request, _record_of(self._request)
        self._refusal = Reply(request.connection, request.version, headers, record)
        record.note = "body-too-large"
        if record.status:
            self._refusal.cut()
            return
        self._refusal.answer(413, close=True)
        record.log()
        if "Expect" in headers:
            del headers["Expect"]  # the answer is here: no 100 Continue, and no body will come
            linger = False
        if linger:
            self._refusal.finish_later()
        else:
            self._refusal.finish()


class _RecordTransform(OutputTransform):
    """Sees every native reply go out: counts it, and adds the request's id."""

    def __init__(self, request: HTTPServerRequest) -> None:
        self._record = _record_of(request)

    def transform_first_chunk(
        self, status_code: int, headers: HTTPHeaders, chunk: bytes, finishing: bool
    ) -> tuple[int, HTTPHeaders, bytes]:
        self._record.status = status_code
        headers["X-Request-Id"] = self._record.request_id
        if headers.get("Server", "").startswith("TornadoServer/"):
            headers["Server"] = SERVER  # both sides say the same, and neither says which version
        self._record.bytes_sent += len(chunk)
        return status_code, headers, chunk

    def transform_chunk(self, chunk: bytes, finishing: bool) -> bytes:
        self._record.bytes_sent += len(chunk)
        return chunk


def _record_of(request: HTTPServerRequest) -> Record:
    """The request's exchange record, made when first asked for. It lives on the request."""
    record = getattr(request, "record", None)
    if record is None:
        request_id = make_request_id(request.headers.get("X-Request-Id"))
        record = Record(
            "native", request.method or "", request.uri or "", request.remote_ip or "", request_id
        )
        request.record = record  # type: ignore[attr-defined]  # Tornado's request is an open object
    return cast(Record, record)
