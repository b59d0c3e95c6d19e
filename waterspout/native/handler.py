"""Tornado's `RequestHandler`, doing less for each request.

Tornado's handler makes, for each request, a namespace for templates, a header object by way of
`MutableMapping.update`, a formatted date, and hashes the reply. Here the namespace is made when a template
asks for it, the date once a second, and the reply leaves in one write. What a subclass overrides, and what
it sees, is as in Tornado 6.6.1, where this was read: `tests/waterspout/native/test_handler.py` compares.
"""

from __future__ import annotations

import asyncio
from asyncio import Future
from types import TracebackType
from typing import Any, cast

from tornado.escape import json_encode, utf8
from tornado.httputil import HTTPInputError, HTTPServerRequest, ResponseStartLine
from tornado.iostream import StreamClosedError
from tornado.log import app_log
from tornado.util import ObjectDict
from tornado.web import Application, HTTPError, OutputTransform, _UIModuleNamespace
from tornado.web import RequestHandler as TornadoRequestHandler

from waterspout.http.private import ReplyHeaders
from waterspout.origin import SERVER, http_date
from waterspout.record import record_of

_HTML = "text/html; charset=UTF-8"
_METHODS = {name: name.lower() for name in ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS")}
_JSON = "application/json; charset=UTF-8"


class LeanRequestHandler(TornadoRequestHandler):
    """Tornado's handler to whoever looks at it, and cheaper. No behaviour is different."""

    def __init__(self, application: Application, request: HTTPServerRequest, **kwargs: Any) -> None:
        # Not super().__init__: it makes the namespace for templates.
        self.application = application
        self.request = request
        self._headers_written = False
        self._finished = False
        self._auto_finish = True
        self._prepared_future = None
        self.clear()
        request.connection.set_close_callback(self.on_connection_close)  # type: ignore[union-attr]
        self.initialize(**kwargs)

    def __getattr__(self, name: str) -> Any:
        """`ui`, what templates call modules and methods by: made when first asked for."""
        if name != "ui":
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        application = self.application
        self.ui = ObjectDict((key, self._ui_method(method)) for key, method in application.ui_methods.items())
        self.ui["_tt_modules"] = self.ui["modules"] = _UIModuleNamespace(self, application.ui_modules)
        return self.ui

    def clear(self) -> None:
        self._headers = ReplyHeaders({"Server": [SERVER], "Content-Type": [_HTML], "Date": [http_date()]})
        self.set_default_headers()
        self._write_buffer = []
        self._status_code = 200
        self._reason = "OK"

    def write(self, chunk: str | bytes | dict[str, Any]) -> None:
        if type(chunk) is dict and not self._finished:
            self._headers["Content-Type"] = _JSON
            self._write_buffer.append(utf8(json_encode(chunk)))
        else:
            super().write(chunk)

    def finish(self, chunk: str | bytes | dict[str, Any] | None = None) -> Future[None]:
        """As Tornado's; a reply of which nothing has been written goes out in one piece."""
        if self._finished or self._headers_written or "_new_cookie" in self.__dict__:
            return super().finish(chunk)
        if chunk is not None:
            self.write(chunk)
        headers, method = self._headers, self.request.method
        if self._status_code == 200 and method in ("GET", "HEAD") and "Etag" not in headers:
            self._answer_conditionally()
        status = self._status_code
        if status < 200 or status in (204, 304):
            return super().finish()
        buffer = self._write_buffer
        body = buffer[0] if len(buffer) == 1 else b"".join(buffer)
        self._write_buffer = []
        sets_length = "Content-Length" not in headers
        if sets_length:
            headers["Content-Length"] = str(len(body))
        for transform in self._transforms:
            status, headers, body = transform.transform_first_chunk(status, headers, body, True)
        self._status_code, self._headers = status, headers
        self._headers_written = True
        connection: Any = self.request.connection
        future: Future[None]
        if method == "HEAD" or not sets_length or not hasattr(connection, "write_reply"):
            connection.set_close_callback(None)
            start_line = ResponseStartLine("", status, self._reason)
            future = connection.write_headers(start_line, headers, b"" if method == "HEAD" else body)
            connection.finish()
        else:
            future = connection.write_reply(status, self._reason, headers, body)
        self._log()
        self._finished = True
        self.on_finish()
        self._break_cycles()
        return future

    async def _execute(self, transforms: list[OutputTransform], *args: bytes, **kwargs: bytes) -> None:
        """As Tornado's, for a handler that is handed its body whole."""
        request = self.request
        name = request.method
        if self._prepared_future is not None or name not in self.SUPPORTED_METHODS:
            await super()._execute(transforms, *args, **kwargs)
            return
        self._transforms = transforms
        try:
            self._parse_arguments(args, kwargs)
            if name not in ("GET", "HEAD", "OPTIONS"):
                self._cross_origin_protection()
            prepared = self.prepare()
            if prepared is not None:
                await prepared
            if self._finished:
                return
            result = getattr(self, _METHODS[name] if name in _METHODS else name.lower())(
                *self.path_args, **self.path_kwargs
            )
            if result is not None:
                await result
            if self._auto_finish and not self._finished:
                self.finish()
        except (Exception, asyncio.CancelledError) as error:
            self._answer_exception(error)

    def _parse_arguments(self, args: tuple[bytes, ...], kwargs: dict[str, bytes]) -> None:
        try:
            self.request._parse_body()
        except HTTPInputError as error:
            raise HTTPError(400, f"Invalid body: {error}") from error
        decode = self.decode_argument
        self.path_args = [decode(value) for value in args] if args else []
        self.path_kwargs = {key: decode(value, name=key) for key, value in kwargs.items()} if kwargs else {}

    def _answer_exception(self, error: BaseException) -> None:
        """The handler raised, or its task was cancelled: then the client gets a 500 and the task its end."""
        task = asyncio.current_task()
        is_cancelled = isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling()
        try:
            if not is_cancelled:
                self._handle_request_exception(error)
            elif not self._finished:
                self.send_error(500)
        except Exception:
            app_log.error("Exception in exception handler", exc_info=True)
        if is_cancelled:
            raise error

    def _answer_conditionally(self) -> None:
        self.set_etag_header()
        if "Etag" in self._headers and self.check_etag_header():
            self._write_buffer = []
            self.set_status(304)

    def _break_cycles(self) -> None:
        if "ui" in self.__dict__:
            super()._break_cycles()


class RequestHandler(LeanRequestHandler):
    """A `tornado.web.RequestHandler` with cheaper defaults: replies are not hashed for an ETag.

    A handler that wants one overrides `compute_etag`: `return self.hash_etag()` is what Tornado's does.
    """

    def compute_etag(self) -> str | None:
        """None: no ETag."""
        return None

    def log_exception(
        self,
        typ: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        """A client that left while its reply was written is no error; the access line says so."""
        if isinstance(value, StreamClosedError):
            record_of(self.request).note = "client-left"
            return
        super().log_exception(typ, value, tb)

    def hash_etag(self) -> str | None:
        """An ETag that is a hash of what has been written."""
        return super().compute_etag()


class Forwarding(type):
    """The type of a class that stands in for its first base: what is set on it is set there."""

    def __setattr__(cls, name: str, value: Any) -> None:
        setattr(cls.__mro__[1], name, value)

    def __delattr__(cls, name: str) -> None:
        delattr(cls.__mro__[1], name)


def make_lean(
    handler_class: type[TornadoRequestHandler], beneath: type[LeanRequestHandler] = LeanRequestHandler
) -> type[TornadoRequestHandler]:
    """`handler_class` with `beneath` below all that it overrides, above Tornado's.

    Its handlers can't tell: `self.__class__` is theirs, so that `super(self.__class__, self)` finds what it
    did, and state that they keep on `type(self)` is kept on their own class. A class that notices being
    subclassed (`__init_subclass__`, a metaclass) is left alone.
    """
    notices = type(handler_class) is not type or "__init_subclass__" in {
        name for base in handler_class.__mro__[:-1] for name in vars(base)
    }
    if issubclass(handler_class, LeanRequestHandler) or notices:
        return handler_class
    body: dict[str, Any] = {
        name: getattr(handler_class, name) for name in ("__module__", "__qualname__", "__doc__")
    }
    body["__class__"] = property(lambda self: handler_class)
    bases = (beneath,) if issubclass(beneath, handler_class) else (handler_class, beneath)
    made = Forwarding(handler_class.__name__, bases, body)
    return cast(type[TornadoRequestHandler], made)
