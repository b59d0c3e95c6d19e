"""What a WSGI app is made of: middleware, the app that it wraps, apps that are mounted. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

#: Where middleware conventionally keeps the app that it wraps.
_INSIDE: Final = ("app", "wsgi_app", "application", "_app", "wsgi", "server", "__wrapped__")
#: More layers than this are not middleware, but an object that has every attribute.
_DEEPEST: Final = 50


def find_flask(app: Any) -> Any:
    """The Flask app in `app`: itself, or inside middleware. None: none is found."""
    for layer in _find_layers(app):
        if hasattr(getattr(layer, "url_map", None), "bind_to_environ"):
            return layer
    return None


def find_mounts(app: Any) -> dict[str, Callable[..., Any]]:
    """Apps that a `DispatcherMiddleware` in `app`, or in one of them, has mounted, by path ("/api"); an app
    that is not at a path is not among them.
    """
    found: dict[str, Callable[..., Any]] = {}
    _add_mounts(found, "", app, _DEEPEST)
    return found


def _add_mounts(found: dict[str, Callable[..., Any]], prefix: str, app: Any, depth: int) -> None:
    for layer in _find_layers(app):
        mounts = getattr(layer, "mounts", None)
        for path, mounted in mounts.items() if isinstance(mounts, Mapping) and depth else ():
            if isinstance(path, str) and path.startswith("/") and prefix + path not in found:
                found[prefix + path] = mounted
                _add_mounts(found, prefix + path, mounted, depth - 1)


def _find_layers(app: Any) -> Iterator[Any]:
    """From the outermost to the innermost; including a Flask app's own `wsgi_app`, which may be wrapped."""
    seen: list[Any] = []
    while app is not None and len(seen) < _DEEPEST and not any(app is each for each in seen):
        yield app
        seen.append(app)
        candidates = (getattr(app, name, None) for name in _INSIDE)
        app = next((inside for inside in candidates if callable(inside)), None)
