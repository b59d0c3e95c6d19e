"""Tornado's `RequestHandler`, doing less for each request.

For each request, Tornado's handler makes a namespace for templates, a header object by way of
`MutableMapping.update` and a formatted date, and hashes the reply. Here the namespace is made when a template
asks for it, the date once a second, and the reply leaves in one write. What a subclass can override, and what
it sees, is as in Tornado 6.6.1, which this follows: `tests/waterspout/native/test_handler.py` compares.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import weakref
from asyncio import Future
from collections.abc import Callable
from types import CoroutineType, MethodType
from typing import Any
from urllib.parse import urlsplit

from tornado import web
from tornado.httputil import HTTPInputError, HTTPServerRequest
from tornado.util import ObjectDict
from tornado.web import Application, Finish, HTTPError, OutputTransform, _UIModuleNamespace
from tornado.web import RequestHandler as TornadoRequestHandler

from waterspout.http.private import ReplyHeaders
from waterspout.message.origin import SERVER, http_date
from waterspout.message.record import record_of
from waterspout.native.encoding import encode_json
from waterspout.native.errors import ErrorHandling
from waterspout.native.head import find_head, follow_get
from waterspout.native.links import Links
from waterspout.native.methods import UNDEFINED, defines, find_methods, format_allow
from waterspout.native.original import original
from waterspout.native.request import Request, on_demand
from waterspout.native.transform import RecordTransform
from waterspout.native.unheeded import check_awaitable, tell_unheeded
from waterspout.native.varying import MARK, say_cookie

_HTML = "text/html; charset=UTF-8"
_METHODS = {name: name.lower() for name in ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS")}
_JSON = "application/json; charset=UTF-8"
#: Tornado's methods that are not called here as long as nobody has replaced them: agents do, and so do
#: applications that want a header in every reply.
_OWN_INIT = original(TornadoRequestHandler.__init__, web)
_OWN_EXECUTE = original(TornadoRequestHandler._execute, web)
_OWN_CLEAR = original(TornadoRequestHandler.clear, web)
_OWN_SET_HEADER = original(TornadoRequestHandler.set_header, web)
_OWN_WRITE = original(TornadoRequestHandler.write, web)
_OWN_FLUSH = original(TornadoRequestHandler.flush, web)
_OWN_FINISH = original(TornadoRequestHandler.finish, web)


class _Else:
    """A descriptor for a method that a handler class need not define. Read from the class, it is Tornado's,
    which counts as undefined. Read from a handler whose class does not define it, it is what
    `stand_in(handler)` returns.

    That is not stored on the handler: a bound method stored on its own object would be a reference cycle.
    """

    def __init__(self, name: str, stand_in: Callable[[Any], Callable[..., Any]]) -> None:
        self._name = name
        self._stand_in = stand_in

    def __get__(
        self, handler: TornadoRequestHandler | None, owner: type[TornadoRequestHandler]
    ) -> Callable[..., Any]:
        beneath: Callable[..., Any] = getattr(
            super(LeanRequestHandler, owner if handler is None else handler), self._name
        )
        request = getattr(handler, "request", None)
        if handler is None or request is None or request.method != self._name.upper():
            return beneath  # read by the handler's own code, or to see what the class defines
        if defines(type(handler), self._name):
            return beneath
        return self._stand_in(handler)


class LeanRequestHandler(ErrorHandling, Links):
    """Looks like Tornado's handler, and costs less. No behaviour is different."""

    #: Whether Tornado's own methods run, because they have been wrapped.
    _steps_aside = False

    head = _Else("head", lambda handler: find_head(handler) or MethodType(UNDEFINED, handler))
    options = _Else("options", lambda handler: handler._answer_options)

    def __init__(self, application: Application, request: HTTPServerRequest, **kwargs: Any) -> None:
        # If Tornado's methods have been wrapped (Sentry, OpenTelemetry and the like do so), they have to be
        # called, or the wrappers see nothing. Asked for each request, as it may happen at any time.
        tornados = TornadoRequestHandler
        if tornados._execute is not _OWN_EXECUTE or tornados.__init__ is not _OWN_INIT:
            self._steps_aside = True
            super().__init__(application, request, **kwargs)
            return
        super(TornadoRequestHandler, self).__init__()  # that of what comes after Tornado's in the MRO
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

    @on_demand
    def ui(self) -> ObjectDict:
        """The namespace by which templates call UI modules and methods."""
        application = self.application
        ui = ObjectDict((key, self._ui_method(method)) for key, method in application.ui_methods.items())
        ui["_tt_modules"] = ui["modules"] = _UIModuleNamespace(self, application.ui_modules)
        return ui

    @on_demand
    def _transforms(self) -> list[OutputTransform]:
        """Made on demand: usually nobody asks for the one that each reply has, and no object is needed."""
        return [RecordTransform(self.request)]

    def clear(self) -> None:
        if TornadoRequestHandler.clear is not _OWN_CLEAR:
            super().clear()
            return
        self._headers = ReplyHeaders({"Server": SERVER, "Content-Type": _HTML, "Date": http_date()})
        self.set_default_headers()
        self._write_buffer = []
        self._status_code = 200
        self._reason = "OK"

    def write(self, chunk: str | bytes | dict[str, Any]) -> None:
        if (
            type(chunk) is dict
            and not self._finished
            and type(self).set_header is _OWN_SET_HEADER
            and TornadoRequestHandler.write is _OWN_WRITE
        ):
            encoded = encode_json(chunk)  # before the header is set: it may raise
            self._headers["Content-Type"] = _JSON
            self._write_buffer.append(encoded)
        else:
            super().write(chunk)

    def flush(self, include_footers: bool = False) -> Future[None]:
        flushed = super().flush(include_footers)
        if not include_footers and self.request.method == "HEAD" and find_head(self) is not None:
            # A HEAD handled by `get` is answered now: a stream would go on for nobody.
            task = getattr(self.request.connection, "task", None)
            if task is not None and task is not asyncio.current_task():
                # What a separate task raises reaches nobody, or comes in an exception group.
                if not self._finished:
                    self.finish()
                task.cancel()
                raise asyncio.CancelledError
            raise Finish
        return flushed

    def finish(self, chunk: str | bytes | dict[str, Any] | None = None) -> Future[None]:
        """As Tornado's; the replies of most handlers take a path of their own and go out in one piece."""
        if self._status_code == 405 and not self._headers_written:
            self._say_allow()
        # If Tornado's methods have been wrapped, the connection's may be, too.
        if self._steps_aside or self._finished or TornadoRequestHandler.finish is not _OWN_FINISH:
            return super().finish(chunk)
        if chunk is not None:
            self.write(chunk)  # an overridden `write` may flush, or set a cookie
        cls = type(self)
        if (
            self._headers_written
            or "_transforms" in self.__dict__
            or "_new_cookie" in self.__dict__
            or cls.flush is not LeanRequestHandler.flush
            or TornadoRequestHandler.flush is not _OWN_FLUSH
            or cls.set_header is not _OWN_SET_HEADER
        ):
            return super().finish()
        method, status, headers = self.request.method, self._status_code, self._headers
        plain = headers.plain if type(headers) is ReplyHeaders else None
        if (
            plain is None
            or "Content-Length" in plain
            or "Transfer-Encoding" in plain
            or method == "HEAD"
            or status < 200
            or status == 204
            or status == 304
        ):
            return super().finish()
        if status == 200 and method == "GET" and "Etag" not in plain:
            self.set_etag_header()
            if self.check_etag_header():
                self._write_buffer = []
                self.set_status(304)
                return super().finish()
        return self._answer()

    def _answer(self) -> Future[None]:
        """Send the whole reply in one write: method and status allow a body, and it has `ReplyHeaders`."""
        request: Any = self.request
        headers: Any = self._headers
        buffer = self._write_buffer
        body = buffer[0] if len(buffer) == 1 else b"".join(buffer)
        self._write_buffer = []
        # Does what `RecordTransform` does without creating one, or a record that nobody wants.
        counts = request.__dict__.get("record", request)
        counts.status = self._status_code
        counts.bytes_sent += len(body)
        fields = headers if headers.plain is None else headers.plain
        fields["Content-Length"] = str(len(body))
        fields["X-Request-Id"] = request.request_id
        if MARK in request.__dict__:
            say_cookie(headers)
        self._headers_written = True
        future: Future[None] = request.connection.write_reply(self._status_code, self._reason, headers, body)
        self._log()
        self._finished = True
        self.on_finish()
        self._break_cycles()
        return future

    def check_etag_header(self) -> bool:
        """As Tornado's, but no search for entity tags if either side has none."""
        request, headers = self.request, self._headers
        if type(headers) is ReplyHeaders and headers.plain is not None and "Etag" not in headers.plain:
            return False
        if type(request) is Request and not request.says("if-none-match"):
            return False
        return super().check_etag_header()

    async def _execute(self, transforms: list[OutputTransform] | None, *args: bytes, **kwargs: bytes) -> None:
        """As Tornado's, for a handler that gets its body whole. `transforms`: None for ours alone."""
        request = self.request
        name = request.method
        if self._steps_aside or self._prepared_future is not None or name not in self.SUPPORTED_METHODS:
            keep_converted(self, kwargs)
            if name == "HEAD":
                follow_get(self)  # a wrapper around `head` hides ours
            # Kept so that stopping the server can cancel it in the end. Tornado's own delegate keeps none.
            request.connection.task = asyncio.current_task()  # type: ignore[union-attr]  # an open object
            try:
                given = self._transforms if transforms is None else transforms
                await super()._execute(given, *args, **kwargs)
            except BaseException as error:
                self._answer_exception(error)
            finally:
                forget_frames(getattr(request, "_body_future", None))
                self._forget_task()
            return
        if transforms is not None:
            self._transforms = transforms
        try:
            if args or kwargs or type(request) is not Request or request.says("content-type"):
                self._parse_arguments(args, kwargs)
            else:
                self.path_args, self.path_kwargs = [], {}
            if name not in ("GET", "HEAD", "OPTIONS"):
                self._cross_origin_protection()
            prepared = self.prepare()
            if prepared is not None:
                await prepared
            if self._finished:
                return
            name = request.method  # `prepare` may have changed it, even to one that a client can't send
            method = getattr(self, _METHODS[name] if name in _METHODS else name.lower())
            if self.path_args or self.path_kwargs:
                result = method(*self.path_args, **self.path_kwargs)
            else:
                result = method()
            if result is not None:
                if type(result) is not CoroutineType:
                    check_awaitable(self, getattr(method, "__name__", name.lower()), result)
                result = await result
            if self._auto_finish and not self._finished:
                if result is not None:
                    tell_unheeded(self, getattr(method, "__name__", name.lower()), result)
                self.finish()
        except BaseException as error:
            self._answer_exception(error)
        finally:
            self._forget_task()

    def _forget_task(self) -> None:
        """No reference cycle: a context variable, which the task has, may refer to this handler. (If another
        task writes the reply, `flush` has to see that.)
        """
        if self._finished:
            # Tornado's type has no `task`; ours has, and its own connection takes any attribute.
            self.request.connection.task = None  # type: ignore[union-attr]

    def _parse_arguments(self, args: tuple[bytes, ...], kwargs: dict[str, Any]) -> None:
        try:
            self.request._parse_body()
        except HTTPInputError as error:
            raise HTTPError(400, f"Invalid body: {error}") from error
        decode = self.decode_argument
        self.path_args = [decode(value) for value in args] if args else []
        self.path_kwargs = {
            key: decode(value, name=key) if isinstance(value, bytes) else value
            for key, value in kwargs.items()
        }

    def _check_cross_origin(self, check: Callable[[str], bool]) -> str | None:
        """As Tornado's, but an Origin that is malformed (`http://[::1`) is refused, not an exception."""
        origin = self.request.headers.get("Origin", "")
        try:
            urlsplit(origin)
        except ValueError:
            return f"Origin {origin!r} is malformed"
        return super()._check_cross_origin(check)

    def _request_summary(self) -> str:
        """For Tornado's own log lines: with the request ID, as in our access line. Not in `log_exception`:
        OpenTelemetry sets one on the handler's class, and calls Tornado's below it.
        """
        return f"{super()._request_summary()} {record_of(self.request).request_id}"

    def _answer_options(self, *_args: Any, **_kwargs: Any) -> None:
        self._say_allow()
        self.finish()

    def _say_allow(self) -> None:
        """RFC 9110 section 15.5.6: a 405 lists the methods supported; so does the reply to OPTIONS."""
        methods = getattr(self.request, "denied", None) or find_methods(type(self))
        if methods and "Allow" not in self._headers:
            self.set_header("Allow", format_allow(methods))

    def _break_cycles(self) -> None:
        if "ui" in self.__dict__:
            super()._break_cycles()


def keep_converted(handler: TornadoRequestHandler, kwargs: dict[str, Any]) -> None:
    """Keep Tornado's own `_execute` from decoding a value that a converter has made."""
    if not all(isinstance(value, bytes) for value in kwargs.values()):
        find, cls = weakref.ref(handler), type(handler)
        decode = inspect.getattr_static(cls, "decode_argument")
        handler.decode_argument = lambda value, name=None: (  # type: ignore[method-assign]  # for this instance only
            decode.__get__(find(), cls)(value, name) if isinstance(value, bytes) else value
        )


def forget_templates() -> None:
    """Make Tornado's template loaders read again what has changed."""
    with TornadoRequestHandler._template_loader_lock:
        for loader in TornadoRequestHandler._template_loaders.values():
            with contextlib.suppress(Exception):  # an application's own loader may lack it
                loader.reset()


def forget_frames(received: Future[None] | None) -> None:
    """Break a reference cycle after a client left in the middle of its body: `received` is the request's
    future, and holds an exception whose frames hold the handler, and so the request.
    """
    if received is not None and received.done() and not received.cancelled():
        error = received.exception()
        if error is not None:
            error.__traceback__ = None


class RequestHandler(LeanRequestHandler):
    """A `tornado.web.RequestHandler` with cheaper defaults: replies are not hashed for an ETag.

    A handler that wants one has `compute_etag = tornado.web.RequestHandler.compute_etag`, or defines its own.
    """

    def compute_etag(self) -> str | None:
        """None: no ETag."""
        return None
