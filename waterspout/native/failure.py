"""A request that fails without a handler: a rule's converter, or its function, or the handler's constructor
raised.
"""

from __future__ import annotations

from typing import Any

from tornado.httputil import HTTPInputError
from tornado.log import app_log

from waterspout.exceptions import RequestRefused
from waterspout.message.record import Record, describe_request, record_of
from waterspout.wsgi.exchange.reply import Reply


def fail(
    application: Any,
    request: Any,
    error: BaseException,
    what: str,
    *,
    close: bool = False,
) -> Reply:
    """Answer 500 in full, as for a handler that raises: with one line in the log and an access line, and
    counted. The caller finishes the reply. `what`: has failed, for the log. `close`: the body is still to
    come, and nobody reads it.

    Raises `error`: the client caused it, and it has an answer of its own; or a reply has begun.
    """
    if isinstance(error, (HTTPInputError, RequestRefused)) or getattr(
        request.connection, "response_started", False
    ):
        raise error
    record = record_of(request)
    log_failure(record, error, what)
    reply = Reply(request.connection, request.version, request.headers, record)
    reply.answer(500, close=close)
    application.log_refused(record)
    return reply


def log_failure(record: Record, error: BaseException, what: str) -> None:
    """Log `error`, the request of `record`, and `what` has failed."""
    app_log.error(
        "Uncaught exception %s (%s) %s: %s",
        describe_request(record.method, record.target),
        record.remote_addr,
        record.request_id,
        what,
        exc_info=error,
    )


def describe_unmade(handler_class: Any, arguments: Any) -> str:
    """What could not be created, and from what. None: no rule was found. Names the arguments only: their
    values may be secret.
    """
    if handler_class is None:
        return "no rule could be found"
    name = f"{handler_class.__module__}.{handler_class.__qualname__}"
    return f"{name} can't be created" + (
        f": its rule passes {', '.join(arguments)} to initialize()" if arguments else ""
    )
