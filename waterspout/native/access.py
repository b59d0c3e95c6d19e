"""Who may use a native handler: declared on the handler, checked at start-up, enforced before its method is
called; for a handler that streams, before any of the request's body is read.
"""

from __future__ import annotations

import functools
import inspect
import weakref
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar, cast

import tornado.web
from tornado.web import HTTPError, RequestHandler
from tornado.websocket import WebSocketHandler

from waterspout.native.methods import defines, find_methods, makes_others
from waterspout.native.unheeded import check_awaitable
from waterspout.native.varying import vary_with_cookies

#: On a handler class, or a method of one: how it was decorated.
_MARK: Final = "__waterspout_access__"
_PUBLIC: Final = "public"
_AUTHENTICATED: Final = "authenticated"
#: On a class that was decorated `authenticated`, whatever it defines.
_GUARDED: Final = "__waterspout_guarded__"
#: On a guarded method: the function that checks the user before the method is called.
_ADMIT: Final = "__waterspout_admit__"
#: Tornado's default method names.
_METHODS: Final = frozenset(RequestHandler.SUPPORTED_METHODS)
#: The code of the function that Tornado's own decorator wraps methods in.
_TORNADOS: Final = tornado.web.authenticated(lambda self: None).__code__
#: True for a handler whose user is known; otherwise it answers the request.
_is_known: Final = tornado.web.authenticated(lambda self: cast(Any, True))

Admit = Callable[[RequestHandler], Awaitable[bool]]

Target = TypeVar("Target", bound=Any)


def public(target: Target) -> Target:
    """Mark a handler class, or a method of one, that everybody may use. A subclass has to say so again."""
    setattr(target, _MARK, _PUBLIC)
    return target


def authenticated(target: Target) -> Target:
    """Restrict a handler class, or a method of one, to users that the application's `login_loader` knows.

    Others are answered as by `tornado.web.authenticated`: GET and HEAD are redirected to the setting
    `login_url`, anything else gets 403, including a WebSocket. An object whose `is_authenticated` is False
    counts as no user. Replies tell caches that they vary with cookies, and so do errors. The loader is called
    after `prepare`, and before a handler that streams (`stream_request_body`) is given any of the body. On a
    class it guards all methods defined there or in a base class, except those that are `public`; not those
    that a subclass defines.
    """
    if not inspect.isclass(target):
        return cast(Target, _guard(target))
    handler_class = cast(type[RequestHandler], target)
    setattr(handler_class, _GUARDED, True)
    for name in handler_class.SUPPORTED_METHODS:
        if defines(handler_class, name) and _read_mark(getattr(handler_class, name.lower())) is None:
            setattr(handler_class, name.lower(), _guard(getattr(handler_class, name.lower())))
    return target


def ask_loader_for_tornados(handler_class: type[RequestHandler]) -> None:
    """Make methods under Tornado's own decorator ask the application's `login_loader`, too, unless the class
    has a way of its own, such as `get_current_user()`: Tornado's behaviour is then kept.
    """
    for name in map(str.lower, handler_class.SUPPORTED_METHODS):
        method = getattr(handler_class, name, None)
        if getattr(method, "__code__", None) is _TORNADOS:
            setattr(handler_class, name, _guard_tornados(cast(Callable[..., Any], method)))


async def _admit(handler: RequestHandler) -> bool:
    loader = handler.settings.get("login_loader")
    # None, too: Tornado's property leaves that behind if `prepare` or a translation has read current_user.
    if loader is not None and handler.__dict__.get("_current_user") is None:
        user = loader(handler)
        handler.current_user = await user if inspect.isawaitable(user) else user
    if getattr(handler.current_user, "is_authenticated", None) is False:
        handler.current_user = None  # an anonymous user object, as in Flask-Login and Django
    return _admit_known(handler)


async def _admit_tornados(handler: RequestHandler) -> bool:
    return _admit_known(handler) if _knows_users(type(handler)) else await _admit(handler)


def _admit_known(handler: RequestHandler) -> bool:
    vary_with_cookies(handler)
    if isinstance(handler, WebSocketHandler) and not handler.current_user:
        raise HTTPError(403)  # WebSocket clients don't follow redirects
    return cast(Any, _is_known(handler)) is True


def _guard(method: Callable[..., Any], admit: Admit = _admit) -> Callable[..., Any]:
    @functools.wraps(method)
    async def guarded(self: RequestHandler, *args: Any, **kwargs: Any) -> Any:
        result = None
        if await admit(self):
            result = method(self, *args, **kwargs)
            if result is not None:
                check_awaitable(self, getattr(method, "__name__", "it"), result)
                result = await result
        vary_with_cookies(self)  # the method may have set a Vary of its own
        return result

    setattr(guarded, _MARK, _AUTHENTICATED)
    setattr(guarded, _ADMIT, admit)
    return guarded


def _guard_tornados(method: Callable[..., Any]) -> Callable[..., Any]:
    guarded = _guard(method, _admit_tornados)
    if inspect.iscoroutinefunction(inspect.unwrap(method)):
        return guarded

    @functools.wraps(guarded)
    def called(self: RequestHandler, *args: Any, **kwargs: Any) -> Any:
        if not self.current_user:
            return guarded(self, *args, **kwargs)
        # There is nothing to ask or await: a plain method may call another.
        result = method(self, *args, **kwargs)
        vary_with_cookies(self)
        return result

    return called


def find_access(handler_class: type[RequestHandler], method: str) -> str | None:
    """`"public"` or `"authenticated"`; None: not declared. What a class declares is not inherited, since a
    subclass may define methods its base did not know about; what a method declares is.
    """
    name = method.lower() if method != "HEAD" or defines(handler_class, "HEAD") else "get"
    return _read_mark(getattr(handler_class, name, None)) or vars(handler_class).get(_MARK)


def find_undeclared(handler_class: type[RequestHandler]) -> list[str]:
    """The methods of a handler that don't declare who may use them."""
    methods = find_methods(handler_class) or frozenset(handler_class.SUPPORTED_METHODS)
    return sorted(method for method in methods if find_access(handler_class, method) is None)


def find_unguarded(handler_class: type[RequestHandler]) -> str | None:
    """What is wrong with a handler whose class is `authenticated` but has no method to guard."""
    if _GUARDED not in vars(handler_class) or makes_others(handler_class):
        return None
    if find_methods(handler_class) is not None:
        return None
    if handler_class.prepare is not RequestHandler.prepare:
        return (
            "@waterspout.authenticated can't guard a handler that answers in prepare(), which runs before "
            "the user is checked: let it answer in a method (get, post, ...) instead"
        )
    alike = [name for name in dir(handler_class) if name.lower().removeprefix("on_").upper() in _METHODS]
    alike = [name for name in alike if name not in map(str.lower, handler_class.SUPPORTED_METHODS)]
    has = f"; it has {', '.join(alike)}" if alike else ""
    return f"it defines no method (get, post, ...) that @waterspout.authenticated could guard{has}"


def lets_nobody_in(handler_class: type[RequestHandler]) -> bool:
    """Whether it has a method that is `authenticated` by this module's decorator, and none of Tornado's
    ways to find the user: without a login_loader everybody is refused.
    """
    knows = _knows_users(handler_class) or handler_class.prepare is not RequestHandler.prepare
    methods = [getattr(handler_class, name.lower(), None) for name in handler_class.SUPPORTED_METHODS]
    return not knows and any(getattr(method, _MARK, None) == _AUTHENTICATED for method in methods)


def _knows_users(handler_class: type[RequestHandler]) -> bool:
    """Whether it has a way of its own to find the user, as Tornado's handlers may."""
    return any(
        getattr(handler_class, name) is not getattr(RequestHandler, name)
        for name in ("current_user", "get_current_user")
    )


def _read_mark(target: Any) -> str | None:
    if getattr(target, "__code__", None) is _TORNADOS:
        return _AUTHENTICATED
    return cast("str | None", getattr(target, _MARK, None))


# --- before a body that streams --------------------------------------------------------------------------


def ask_before_body(delegate: Any) -> None:
    """Make the handler that Tornado's `delegate` creates ask its guard right after `prepare` if it streams:
    the method that the guard wraps is only called once `data_received` has had the whole body.
    """
    if delegate.stream_request_body:
        admit = find_admission(delegate.handler_class, delegate.request.method)
        if admit is not None:
            delegate.handler_class = _admitting(delegate.handler_class, admit)


def find_admission(handler_class: type[RequestHandler], method: str) -> Admit | None:
    """The check for a request with that method; None: there is none, anybody may send a body.

    A method that a guarded handler does not define is answered at once, without waiting for a body.
    """
    if method not in handler_class.SUPPORTED_METHODS:
        return None  # Tornado says 405 before `prepare`
    name = "GET" if method == "HEAD" and not defines(handler_class, "HEAD") else method
    if defines(handler_class, name):
        return _find_admit(getattr(handler_class, name.lower()))
    others = (getattr(handler_class, other.lower(), None) for other in handler_class.SUPPORTED_METHODS)
    return _answer_undefined if any(map(_find_admit, others)) else None


def _find_admit(method: Any) -> Admit | None:
    """The check of a handler's method, if it is guarded: it returns whether the method may be called. If not,
    it has answered, or raises HTTPError(403).
    """
    return cast("Admit | None", getattr(method, _ADMIT, None))


async def _answer_undefined(handler: RequestHandler) -> bool:
    undefined = getattr(handler, str(handler.request.method).lower())
    undefined(*handler.path_args, **handler.path_kwargs)  # 405, or the reply to OPTIONS
    return False


def _admitting(handler_class: type[RequestHandler], admit: Admit) -> Callable[..., RequestHandler]:
    """A function that creates its handlers, each with a `prepare` of its own. Not a subclass: a class that
    notices being subclassed is left alone.
    """

    @functools.wraps(handler_class, updated=())  # its name, for the log
    def make(*args: Any, **kwargs: Any) -> RequestHandler:
        handler = handler_class(*args, **kwargs)
        own = vars(handler).get("prepare")
        find = weakref.ref(handler)  # a strong reference kept on the handler would be a cycle

        async def prepare() -> None:
            itself: Any = find()
            del itself.prepare
            prepared = itself.prepare() if own is None else own()
            if prepared is not None:
                await prepared
            if not itself._finished:
                await admit(itself)

        handler.prepare = prepare  # type: ignore[method-assign]  # for this instance only
        return handler

    return make
