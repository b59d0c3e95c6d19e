"""A Flask app and native rules, each told what the other side's URLs are called.

Imports neither Flask nor, unless the app is Flask's, Werkzeug.
"""

from __future__ import annotations

from typing import Any

from waterspout.wsgi.layers import find_flask
from waterspout.wsgi.naming import Names


def link(app: Any, native: Names) -> Names | None:
    """Let the Flask app in `app` find `native` names by `url_for`; what its own endpoints are called. None:
    it is not Flask's.
    """
    flask = find_flask(app)
    if flask is None:
        return None
    handlers = getattr(flask, "url_build_error_handlers", None)  # Werkzeug's own apps have a map, and no more
    if handlers is not None and (native.rules or native.unnamed):
        # Only where Flask is, which needs it, too: a process of another app stays small.
        from waterspout.wsgi.urls import NativeUrls

        handlers[:] = [handler for handler in handlers if not isinstance(handler, NativeUrls)]
        urls = NativeUrls(native)
        handlers.append(urls)
        urls.answer_for(flask.url_map)
    return _list_endpoints(flask.url_map, getattr(flask, "import_name", ""))


def find_converters(url_map: Any) -> dict[str, Any]:
    """The custom ones of a Werkzeug map, by name."""
    usual = type(url_map).default_converters
    return {name: own for name, own in url_map.converters.items() if usual.get(name) is not own}


def _list_endpoints(url_map: Any, app: Any) -> Names:
    names = Names(converters=find_converters(url_map), app=app if isinstance(app, str) else "")
    for rule in url_map.iter_rules():
        if isinstance(rule.endpoint, str):
            hosted = bool(rule.host) or (rule.subdomain or "") != url_map.default_subdomain
            answers = not (rule.build_only or rule.websocket or rule.redirect_to is not None)
            told = {"defaults": rule.defaults, "methods": rule.methods, "hosted": hosted, "answers": answers}
            names.add(rule.rule, rule.endpoint, **told)
    return names
