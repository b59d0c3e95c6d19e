"""Who may send a streaming handler its body: asked before any of it is read, as the method will be."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from tornado.web import RequestHandler

from waterspout.native.access import Admit, find_admit
from waterspout.routing.methods import defines


def ask_before_body(delegate: Any) -> None:
    """Let the handler that Tornado's `delegate` makes ask its guard behind `prepare`, where it streams: the
    method, which the guard is around, is called when `data_received` has had the whole body.
    """
    if delegate.stream_request_body:
        admit = find_admission(delegate.handler_class, delegate.request.method)
        if admit is not None:
            delegate.handler_class = _admitting(delegate.handler_class, admit)


def find_admission(handler_class: type[RequestHandler], method: str) -> Admit | None:
    """What is asked of a request with that method; None: nothing, anybody's body may come.

    For a method that a guarded handler has not there is no body to wait for: what says so, says it at once.
    """
    if method not in handler_class.SUPPORTED_METHODS:
        return None  # Tornado says 405 before `prepare`
    name = "GET" if method == "HEAD" and not defines(handler_class, "HEAD") else method
    if defines(handler_class, name):
        return find_admit(getattr(handler_class, name.lower()))
    others = (getattr(handler_class, other.lower(), None) for other in handler_class.SUPPORTED_METHODS)
    return _answer_undefined if any(map(find_admit, others)) else None


async def _answer_undefined(handler: RequestHandler) -> bool:
    undefined = getattr(handler, str(handler.request.method).lower())
    undefined(*handler.path_args, **handler.path_kwargs)  # 405, or what says to OPTIONS what there is
    return False


def _admitting(handler_class: type[RequestHandler], admit: Admit) -> Callable[..., RequestHandler]:
    """What makes its handlers. Not a class below it: one that notices being subclassed is left alone."""

    def make(*args: Any, **kwargs: Any) -> RequestHandler:
        handler = handler_class(*args, **kwargs)
        own = vars(handler).get("prepare")
        find = weakref.ref(handler)  # what is on it and leads back to it would be a circle

        async def prepare() -> None:
            itself: Any = find()
            del itself.prepare
            prepared = itself.prepare() if own is None else own()
            if prepared is not None:
                await prepared
            if not itself._finished:
                await admit(itself)

        handler.prepare = prepare  # type: ignore[method-assign]  # this one's alone
        return handler

    return make
