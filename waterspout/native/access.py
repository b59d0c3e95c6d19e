"""Who may use a native handler: said at the handler, and checked at start-up."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar, cast

import tornado.web
from tornado.web import HTTPError, RequestHandler
from tornado.websocket import WebSocketHandler

from waterspout.routing.methods import defines, find_methods

#: On a handler class, or a method of one: how it was decorated.
_MARK: Final = "__waterspout_access__"
_PUBLIC: Final = "public"
_AUTHENTICATED: Final = "authenticated"
#: On a method that is guarded: what asks who it is, before it is called.
_ADMIT: Final = "__waterspout_admit__"
#: What Tornado's own decorator wraps methods in.
_TORNADOS: Final = tornado.web.authenticated(lambda self: None).__code__
#: True of a handler whose user is known; any other it answers.
_is_known: Final = tornado.web.authenticated(lambda self: cast(Any, True))

Admit = Callable[[RequestHandler], Awaitable[bool]]

Target = TypeVar("Target", bound=Any)


def public(target: Target) -> Target:
    """A handler class, or a method of one, that everybody may use. A class below it has to say so again."""
    setattr(target, _MARK, _PUBLIC)
    return target


def authenticated(target: Target) -> Target:
    """A handler class, or a method of one, for whom the application's `login_loader` knows.

    Others are answered as `tornado.web.authenticated` does it: GET and HEAD are sent to the setting
    `login_url`, the rest gets 403, a WebSocket too. Caches are told that replies vary with cookies. Who asks
    is asked behind `prepare`, and before a handler that streams (`stream_request_body`) is handed any of the
    body. On a class it guards all methods that are defined there or above, but for those that are `public`;
    not those that a class below it defines.
    """
    if not inspect.isclass(target):
        return cast(Target, _guard(target))
    handler_class = cast(type[RequestHandler], target)
    for name in handler_class.SUPPORTED_METHODS:
        if defines(handler_class, name) and _read_mark(getattr(handler_class, name.lower())) is None:
            setattr(handler_class, name.lower(), _guard(getattr(handler_class, name.lower())))
    return target


def ask_loader_for_tornados(handler_class: type[RequestHandler]) -> None:
    """Let Tornado's own decorator on its methods ask the application's `login_loader`, too, unless the class
    has its own way, `get_current_user()`: that is Tornado's, then, and stays it.
    """
    for name in map(str.lower, handler_class.SUPPORTED_METHODS):
        method = getattr(handler_class, name, None)
        if getattr(method, "__code__", None) is _TORNADOS:
            setattr(handler_class, name, _guard_tornados(cast(Callable[..., Any], method)))


def find_admit(method: Any) -> Admit | None:
    """What asks who may call a handler's method, if it is guarded: whether the method may be called. Else it
    has answered, or raises HTTPError(403).
    """
    return cast("Admit | None", getattr(method, _ADMIT, None))


async def _admit(handler: RequestHandler) -> bool:
    loader = handler.settings.get("login_loader")
    # None, too: Tornado's property leaves it, where `prepare` or a translation has looked who it is.
    if loader is not None and handler.__dict__.get("_current_user") is None:
        user = loader(handler)
        handler.current_user = await user if inspect.isawaitable(user) else user
    return _admit_known(handler)


async def _admit_tornados(handler: RequestHandler) -> bool:
    return _admit_known(handler) if _knows_users(type(handler)) else await _admit(handler)


def _admit_known(handler: RequestHandler) -> bool:
    vary_with_cookies(handler)
    if isinstance(handler, WebSocketHandler) and not handler.current_user:
        raise HTTPError(403)  # no client follows a redirect there
    return cast(Any, _is_known(handler)) is True


def _guard(method: Callable[..., Any], admit: Admit = _admit) -> Callable[..., Any]:
    @functools.wraps(method)
    async def guarded(self: RequestHandler, *args: Any, **kwargs: Any) -> None:
        if await admit(self):
            result = method(self, *args, **kwargs)
            if result is not None:
                await result
        vary_with_cookies(self)  # it may have said something of its own

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
        # Nobody is to be asked, nor waited for: a plain method may call another.
        result = method(self, *args, **kwargs)
        vary_with_cookies(self)
        return result

    return called


def vary_with_cookies(handler: RequestHandler) -> None:
    """Tell caches that the reply depends on who asks (RFC 9110 section 12.5.5). Too late, it does nothing."""
    if getattr(handler, "_headers_written", True):  # or a test's stand-in
        return
    names = [name.strip() for name in handler._headers.get("Vary", "").split(",")]
    if not {"*", "cookie"}.intersection(name.lower() for name in names):
        handler.set_header("Vary", ", ".join(filter(None, [*names, "Cookie"])))


def find_access(handler_class: type[RequestHandler], method: str) -> str | None:
    """`"public"` or `"authenticated"`; None: it was not said. A class's word is not inherited, since the
    class below may define what the one above knew nothing of; a method's is.
    """
    name = method.lower() if method != "HEAD" or defines(handler_class, "HEAD") else "get"
    return _read_mark(getattr(handler_class, name, None)) or vars(handler_class).get(_MARK)


def find_undeclared(handler_class: type[RequestHandler]) -> list[str]:
    """The methods of a handler of which it was not said who may use them."""
    methods = find_methods(handler_class) or frozenset(handler_class.SUPPORTED_METHODS)
    return sorted(method for method in methods if find_access(handler_class, method) is None)


def lets_nobody_in(handler_class: type[RequestHandler]) -> bool:
    """Whether it has a method that is `authenticated`, by this module's decorator, and no way of
    Tornado's to learn who asks: without a login_loader everybody is refused.
    """
    knows = _knows_users(handler_class) or handler_class.prepare is not RequestHandler.prepare
    methods = [getattr(handler_class, name.lower(), None) for name in handler_class.SUPPORTED_METHODS]
    return not knows and any(getattr(method, _MARK, None) == _AUTHENTICATED for method in methods)


def _knows_users(handler_class: type[RequestHandler]) -> bool:
    """Whether it has a way of its own to learn who asks, as Tornado's handlers do."""
    return any(
        getattr(handler_class, name) is not getattr(RequestHandler, name)
        for name in ("current_user", "get_current_user")
    )


def _read_mark(target: Any) -> str | None:
    if getattr(target, "__code__", None) is _TORNADOS:
        return _AUTHENTICATED
    return cast("str | None", getattr(target, _MARK, None))
