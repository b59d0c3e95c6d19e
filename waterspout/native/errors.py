"""What a handler raises: it is answered, or passed on to the WSGI app, or the reply that has begun is cut.

Calls and overrides Tornado's private `_handle_request_exception` and `_log`, calls `_break_cycles`, reads
`_headers_written` and `_prepared_future`, sets `_finished` (6.6.1)."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any, cast

from tornado.httputil import HTTPOutputError
from tornado.iostream import StreamClosedError
from tornado.log import app_log, gen_log
from tornado.web import RequestHandler

from waterspout.exceptions import Decline
from waterspout.message.closing import cut_reply
from waterspout.message.record import record_of, word_for
from waterspout.native.methods import find_methods
from waterspout.native.outside import tell_outside
from waterspout.system.fatal import ends_more


class ErrorHandling(RequestHandler):
    """How a handler answers what it raises: no client waits for ever, or takes half a reply for whole."""

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
        record.note = record.note or (word_for(getattr(connection, "refused", 0)) if has_left else "cut")
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
            record_of(request).note = word_for(getattr(request.connection, "refused", 0))
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


def answer_exception(handler: RequestHandler, error: BaseException) -> None:
    """Let `handler` answer an exception it raised; call it in the `except` (Tornado reads `sys.exc_info`)."""
    try:
        handler._handle_request_exception(error)
    except KeyboardInterrupt:
        raise
    except BaseException:
        _answer_anyway(handler)


def _answer_anyway(handler: RequestHandler) -> None:
    """The error handling itself has raised: answer, or the client would wait forever."""
    _log_unanswered()
    try:
        if not handler._finished:
            handler.send_error(500)
    except KeyboardInterrupt:
        raise
    except BaseException:
        _leave_anyway(handler)


def _leave_anyway(handler: RequestHandler) -> None:
    """No answer is possible: cut the reply, unless it is out and only the code that runs after it raised."""
    _log_unanswered()
    if handler._finished:
        return
    record, request = record_of(handler.request), cast(Any, handler.request)
    record.note = record.note or "cut"
    try:
        if isinstance(handler, ErrorHandling):
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
