"""Where a native handler sends whoever is not signed in, and what is wrong with that."""

from __future__ import annotations

import dis
import inspect
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tornado.web import RequestHandler
from tornado.websocket import WebSocketHandler

from waterspout.exceptions import ConfigurationError
from waterspout.native.access import find_access
from waterspout.native.methods import defines

#: By these a loader answers itself, without a login page.
_ANSWERS: Final = frozenset({"finish", "redirect", "send_error"})


def check_loader(loader: Any) -> None:
    """Raises ConfigurationError: a `login_loader` that can't be called."""
    if loader is not None and not callable(loader):
        raise ConfigurationError(f"login_loader is a function, from a handler to its user, not {loader!r}")


def sends_to_login(handler_class: type[RequestHandler]) -> bool:
    """Whether a GET of somebody unknown is sent to the setting `login_url`, as far as can be told: it has no
    `get_login_url()` of its own, nor a `prepare()`, which may answer before.
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
    """What is said of `login_url`, a line for each, where these handlers send somebody there. `settings` of
    the application; `root_path`: what it is mounted under, or "".
    """
    url = settings.get("login_url")
    if not handlers:
        return []
    if url is None and settings.get("login_loader") is not None and not _answers(settings["login_loader"]):
        first = f"{handlers[0].__module__}.{handlers[0].__qualname__}"
        others = f" (and {len(handlers) - 1} more)" if len(handlers) > 1 else ""
        return [
            f"{first}{others} is authenticated, and it is not said where to sign in: GET is answered with "
            "500 then; give the application a login_url, or the handler a get_login_url()"
        ]
    is_path = isinstance(url, str) and url[:1] == "/" and url[:2] != "//"
    if root_path and is_path and not f"{url}/".replace("?", "/").startswith(f"{root_path}/"):
        return [
            f"login_url {url!r} is not below --root-path {root_path!r}: whoever has to sign in is sent out "
            "of it; let get_login_url() return self.reverse_url(...)"
        ]
    return []


def _answers(loader: Any) -> bool:
    """Whether it may answer whom it does not know by itself: it raises (HTTPError(401)), or finishes."""
    function = inspect.unwrap(loader)
    function = getattr(function, "__func__", function)
    code = getattr(function, "__code__", None) or getattr(type(function).__call__, "__code__", None)
    if code is None:
        return True  # built in, or compiled: it can't be told
    raises = any(step.opname == "RAISE_VARARGS" for step in dis.get_instructions(code))
    return raises or not _ANSWERS.isdisjoint(code.co_names)
