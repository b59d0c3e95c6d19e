"""A request that fails before it has a handler: a rule's converter or the handler's constructor raised."""

from __future__ import annotations

from typing import Any

from tornado.httputil import HTTPInputError
from tornado.log import app_log

from waterspout.exceptions import RequestRefused
from waterspout.message.record import describe_request, record_of
from waterspout.wsgi.exchange.reply import Reply


def fail(
    application: Any,
    request: Any,
    error: BaseException,
    handler_class: Any = None,
    arguments: Any = None,
    *,
    close: bool = False,
) -> Reply:
    """Answer 500 in full, as for a handler that raises: with one line in the log and an access line, and
    counted. The caller finishes the reply. `handler_class`, `arguments`: what could not be created, and from
    what; None: no rule was found. `close`: the body is still to come, and nobody reads it.

    Raises `error`: the client caused it, and it has an answer of its own; or a reply has begun.
    """
    if isinstance(error, (HTTPInputError, RequestRefused)) or getattr(
        request.connection, "response_started", False
    ):
        raise error
    record = record_of(request)
    app_log.error(
        "Uncaught exception %s (%s) %s: %s",
        describe_request(record.method, record.target),
        record.remote_addr,
        record.request_id,
        "no rule could be found" if handler_class is None else _describe(handler_class, arguments),
        exc_info=error,
    )
    reply = Reply(request.connection, request.version, request.headers, record)
    reply.answer(500, close=close)
    application.log_refused(record)
    return reply


def _describe(handler_class: Any, arguments: Any) -> str:
    """Names the arguments only: their values may be secret."""
    name = f"{handler_class.__module__}.{handler_class.__qualname__}"
    return f"{name} can't be created" + (
        f": its rule passes {', '.join(arguments)} to initialize()" if arguments else ""
    )
