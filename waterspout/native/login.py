"""Where a native handler sends clients that are not signed in, and what is wrong with that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tornado.web import RequestHandler
from tornado.websocket import WebSocketHandler

from waterspout.exceptions import ConfigurationError
from waterspout.native.access import find_access
from waterspout.native.methods import defines
from waterspout.signature import takes

#: How many handlers are named; there may be hundreds.
_NAMED: Final = 5


def check_loader(loader: Any) -> None:
    """Raises ConfigurationError: `login_loader` can't be called with a handler."""
    if loader is not None and not callable(loader):
        raise ConfigurationError(
            f"login_loader must be a function from a handler to its user, not {loader!r}"
        )
    if loader is not None and not takes(loader, 1):
        raise ConfigurationError(
            "login_loader is called with the handler and nothing else, which "
            f"{getattr(loader, '__qualname__', repr(loader))} does not accept"
        )


def sends_to_login(handler_class: type[RequestHandler]) -> bool:
    """Whether a GET by an unknown user is redirected to the setting `login_url`, as far as can be told: the
    class has no `get_login_url()` of its own, nor a `prepare()`, which may answer first.
    """
    return (
        defines(handler_class, "GET")
        and find_access(handler_class, "GET") == "authenticated"
        and handler_class.get_login_url is RequestHandler.get_login_url
        and handler_class.prepare is RequestHandler.prepare
        and not issubclass(handler_class, WebSocketHandler)
    )


def doubt_login(
    handlers: Sequence[type[RequestHandler]], settings: Mapping[str, Any], root_path: str
) -> list[str]:
    """Warnings about the setting `login_url`, if these handlers redirect there. `root_path`: the path that
    the application is mounted under, or "".
    """
    url = settings.get("login_url")
    if handlers and not url:
        return [_doubt_missing(handlers)]
    is_path = isinstance(url, str) and url[:1] == "/" and url[:2] != "//"
    is_inside = f"{url}/".replace("?", "/").startswith(f"{root_path}/")
    if not handlers or not root_path or not is_path or is_inside:
        return []
    return [
        f"login_url {url!r} is not below --root-path {root_path!r}: users who have to sign in are "
        "redirected outside it; let get_login_url() return self.reverse_url(...)"
    ]


def _doubt_missing(handlers: Sequence[type[RequestHandler]]) -> str:
    names = [f"{handler.__module__}.{handler.__qualname__}" for handler in handlers]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return (
        f"login_url is not set: each GET by a user who is not signed in will get 500 at "
        f'{", ".join(names[:_NAMED])}{more}; give the application login_url="/path/to/sign/in", or the '
        "handler a get_login_url()"
    )
