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
from types import CoroutineType, FunctionType, MethodType, TracebackType
from typing import Any, cast
from urllib.parse import urlsplit

from tornado.escape import to_unicode
from tornado.httputil import HTTPInputError, HTTPOutputError, HTTPServerRequest
from tornado.iostream import StreamClosedError
from tornado.log import app_log, gen_log
from tornado.util import ObjectDict
from tornado.web import Application, Finish, HTTPError, OutputTransform, _UIModuleNamespace, authenticated
from tornado.web import RequestHandler as TornadoRequestHandler

from waterspout.exceptions import Decline
from waterspout.http.private import ReplyHeaders
from waterspout.message.closing import cut_reply
from waterspout.message.origin import SERVER, http_date
from waterspout.message.record import record_of
from waterspout.native.encoding import encode_json
from waterspout.native.methods import UNDEFINED, defines, find_methods, format_allow
from waterspout.native.outside import tell_outside
from waterspout.native.request import Request, on_demand
from waterspout.native.transform import RecordTransform
from waterspout.native.unheeded import check_awaitable, tell_unheeded
from waterspout.native.varying import MARK, say_cookie
from waterspout.system.fatal import ends_more

_HTML = "text/html; charset=UTF-8"
_METHODS = {name: name.lower() for name in ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS")}
_JSON = "application/json; charset=UTF-8"
_TORNADOS_FILE = authenticated.__code__.co_filename


class Forwarding(type):
    """Metaclass of a class that stands in for its first base: an attribute set on it after its creation is
    set on that base, and anything keyed by the base is found by the stand-in.
    """

    def __init__(cls, *arguments: Any) -> None:
        super().__init__(*arguments)
        super().__setattr__("_is_made", True)

    def __setattr__(cls, name: str, value: Any) -> None:
        if "_is_made" in vars(cls):
            setattr(cls.__mro__[1], name, value)
        else:
            super().__setattr__(name, value)  # ABCMeta's, Generic's, Protocol's: kept per class

    def __delattr__(cls, name: str) -> None:
        delattr(cls.__mro__[1], name)

    def __eq__(cls, other: object) -> bool:
        return other is cls or cls.__mro__[1] == other  # which may be one itself

    def __hash__(cls) -> int:
        return hash(cls.__mro__[1])


def _own_of_tornado(method: Callable[..., Any]) -> Callable[..., Any] | None:
    # By type, not by `isinstance`: some wrappers (wrapt's) pass as functions.
    is_own = type(method) is FunctionType and method.__code__.co_filename == _TORNADOS_FILE
    return method if is_own else None


#: The methods that run a handler in Tornado; None for one that had been wrapped before this was imported.
_OWN_INIT = _own_of_tornado(TornadoRequestHandler.__init__)
_OWN_EXECUTE = _own_of_tornado(TornadoRequestHandler._execute)


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


class LeanRequestHandler(TornadoRequestHandler):
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
        self._headers = ReplyHeaders({"Server": SERVER, "Content-Type": _HTML, "Date": http_date()})
        self.set_default_headers()
        self._write_buffer = []
        self._status_code = 200
        self._reason = "OK"

    def write(self, chunk: str | bytes | dict[str, Any]) -> None:
        if (
            type(chunk) is dict
            and not self._finished
            and type(self).set_header is TornadoRequestHandler.set_header
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
        if self._steps_aside or self._finished:
            return super().finish(chunk)
        if chunk is not None:
            self.write(chunk)  # an overridden `write` may flush, or set a cookie
        cls = type(self)
        if (
            self._headers_written
            or "_transforms" in self.__dict__
            or "_new_cookie" in self.__dict__
            or cls.flush is not LeanRequestHandler.flush
            or cls.set_header is not TornadoRequestHandler.set_header
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

    def _answer_exception(self, error: BaseException) -> None:
        """The handler raised, or its task was cancelled: then the client gets a 500 and the task still ends
        as cancelled. Raises what is not the handler's failure: see `ends_more`.
        """
        if ends_more(error, getattr(self.request.connection, "task", None)):
            raise error
        task = asyncio.current_task()
        is_cancelled = isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling()
        if not is_cancelled:
            answer_exception(self, error)
            return
        try:
            if not self._finished:
                self.send_error(500)
        except KeyboardInterrupt:
            raise
        except BaseException:
            _leave_anyway(self)
        raise error

    def _handle_request_exception(self, e: BaseException) -> None:
        try:
            if not (isinstance(e, Decline) and self._pass_on()):
                super()._handle_request_exception(e)
        except KeyboardInterrupt:
            raise
        except BaseException:  # else Tornado's own `_execute` would only log it
            _answer_anyway(self)

    def send_error(self, status_code: int = 500, **kwargs: Any) -> None:
        """As Tornado's; but a reply that has begun is cut, where Tornado's ends as if it were whole; and a
        request cancelled at the end of the graceful timeout gets 503.
        """
        # Done here, because Tornado's own `_execute` asks for a 500 then, too.
        if status_code == 500 and not kwargs and getattr(self.application, "is_cutting_short", False):
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                record_of(self.request).note = "stopped"
                status_code = 503
        if self._headers_written and not self._finished:
            self._cut(kwargs.get("exc_info"))
        else:
            super().send_error(status_code, **kwargs)

    def _cut(self, reason: Any) -> None:
        request: Any = self.request
        connection, record = request.connection, record_of(request)
        error = None if reason is None else reason[1]
        # HTTPOutputError, more or less than its Content-Length: then the server has closed.
        has_left = is_left(connection) and not isinstance(error, HTTPOutputError)
        if not (record.note or has_left or isinstance(error, StreamClosedError)):
            gen_log.error(
                "Cannot send error response after headers written: %s is cut off", record.request_id
            )
        record.note = record.note or ("client-left" if has_left else "cut")
        self._leave()

    def _leave(self) -> None:
        """Cut the reply: nothing more is sent."""
        request: Any = self.request
        connection = request.connection
        connection.set_close_callback(None)  # the server closes, not the client: `on_finish` is called
        if not is_left(connection):
            cut_reply(connection, is_delimited=request.version == "HTTP/1.1")
        self._finished = True
        self._log()
        self.on_finish()
        self._break_cycles()

    def log_exception(
        self,
        typ: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        """As Tornado's (which Sentry, Datadog and the like wrap). A client that left while its reply was
        being written is not an error; the access line notes it.
        """
        request: Any = self.request
        if isinstance(value, StreamClosedError) and is_left(request.connection):
            record_of(request).note = "client-left"
            return
        super().log_exception(typ, value, tb)
        tell_outside(value)

    def _log(self) -> None:
        """As Tornado's; but an error in the application's `log_request` doesn't break a reply that is out."""
        try:
            self.application.log_request(self)
        except KeyboardInterrupt:
            raise
        except BaseException:
            app_log.error("Uncaught exception in log_request", exc_info=True)

    def _request_summary(self) -> str:
        """For Tornado's own log lines: with the request ID, as in our access line. Not in `log_exception`:
        OpenTelemetry sets one on the handler's class, and calls Tornado's below it.
        """
        return f"{super()._request_summary()} {record_of(self.request).request_id}"

    def _answer_options(self, *_args: Any, **_kwargs: Any) -> None:
        self._say_allow()
        self.finish()

    def _pass_on(self) -> bool:
        """Let the WSGI app answer. False: it is too late for that."""
        if self._finished or self._headers_written or self._prepared_future is not None:
            return False
        container: Any = getattr(self.application, "container", None)
        if container is None:
            self.send_error(404)
            return True
        request: Any = self.request
        if is_left(request.connection):
            record_of(request).note = "client-left"  # no view is run for a client that has gone
            self.send_error(404)
            return True
        # The request's own method is among them: that shows it was declined, not denied.
        methods = find_methods(type(self)) or frozenset()
        request.denied = methods | getattr(request, "denied", frozenset()) if methods else methods
        container(request)
        self._finished = True  # as far as this handler is concerned, as Tornado's FallbackHandler does it
        self.on_finish()
        self._break_cycles()
        return True

    def _say_allow(self) -> None:
        """RFC 9110 section 15.5.6: a 405 lists the methods supported; so does the reply to OPTIONS."""
        methods = getattr(self.request, "denied", None) or find_methods(type(self))
        if methods and "Allow" not in self._headers:
            self.set_header("Allow", format_allow(methods))

    def reverse_url(self, name: str, *args: Any, **kwargs: Any) -> str:
        """The path of the rule or Flask endpoint of that name, below the root path that the client sees."""
        root_path = getattr(self.request, "root_path", "")
        return f"{root_path}{self.application.reverse_url(name, *args, **kwargs)}"

    def redirect(self, url: str, permanent: bool = False, status: int | None = None) -> None:
        """As Tornado's. A redirect to the handler's own path, with or without its trailing slash, gets the
        root path prepended, as that path lacks it: Tornado's `addslash`, `removeslash` and static files send
        such redirects.
        """
        if root_path := getattr(self.request, "root_path", ""):
            url = to_unicode(url)  # Tornado's takes bytes, too
            path = url.partition("#")[0].partition("?")[0]
            is_ours = path.startswith("/") and path.rstrip("/") == self.request.path.rstrip("/")
            # A link to the root path may look like our own path; those three always redirect permanently.
            if is_ours and (permanent or path.rstrip("/") != root_path):
                url = f"{root_path}{url}"
        super().redirect(url, permanent, status)

    def static_url(self, path: str, include_host: bool | None = None, **kwargs: Any) -> str:
        """As Tornado's, below the root path if the URL is on this server."""
        url = super().static_url(path, include_host, **kwargs)
        root_path = getattr(self.request, "root_path", "")
        here = f"{self.request.protocol}://{self.request.host}"
        base, place = (here, url.removeprefix(here)) if url.startswith(here) else ("", url)
        return f"{base}{root_path}{place}" if place.startswith("/") else url

    def _break_cycles(self) -> None:
        if "ui" in self.__dict__:
            super()._break_cycles()


def answer_exception(handler: TornadoRequestHandler, error: BaseException) -> None:
    """Let `handler` answer an exception it raised; call it in the `except` (Tornado reads `sys.exc_info`)."""
    try:
        handler._handle_request_exception(error)
    except KeyboardInterrupt:
        raise
    except BaseException:
        _answer_anyway(handler)


def _answer_anyway(handler: TornadoRequestHandler) -> None:
    """The error handling itself has raised: answer, or the client would wait forever."""
    _log_unanswered()
    try:
        if not handler._finished:
            handler.send_error(500)
    except KeyboardInterrupt:
        raise
    except BaseException:
        _leave_anyway(handler)


def _leave_anyway(handler: TornadoRequestHandler) -> None:
    """No answer is possible: cut the reply, unless it is out and only the code that runs after it raised."""
    _log_unanswered()
    if handler._finished:
        return
    record, request = record_of(handler.request), cast(Any, handler.request)
    record.note = record.note or "cut"
    try:
        if isinstance(handler, LeanRequestHandler):
            handler._leave()
        elif not is_left(request.connection):
            cut_reply(request.connection, is_delimited=request.version == "HTTP/1.1")
    except KeyboardInterrupt:
        raise
    except BaseException:
        _log_unanswered()


def _log_unanswered() -> None:
    app_log.error("Exception in exception handler", exc_info=True)


def is_left(connection: Any) -> bool:
    """Whether the client of a reply's connection has gone."""
    return connection.stream is None or connection.stream.closed()


def find_head(handler: TornadoRequestHandler) -> Callable[..., Any] | None:
    """`get`, if it answers HEAD, too (RFC 9110 section 9.3.2): Tornado omits the body."""
    follows = not defines(type(handler), "head") and "HEAD" in (find_methods(type(handler)) or ())
    return handler.get if follows else None


def follow_get(handler: TornadoRequestHandler) -> None:
    """Let a handler without our base class answer HEAD by its `get`."""
    if find_head(handler) is not None:
        find = weakref.ref(handler)  # a bound method stored on the handler would be a cycle
        handler.head = lambda *args, **kwargs: find().get(*args, **kwargs)  # type: ignore[union-attr]  # its task has it


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
