"""Tells a Flask app and native rules the names of each other's URLs.

Imports neither Flask nor, unless the app is a Flask app, Werkzeug.
"""

from __future__ import annotations

from typing import Any

from waterspout.wsgi.layers import find_flask
from waterspout.wsgi.naming import Names


def link(app: Any, native: Names) -> Names | None:
    """Let the Flask app in `app` find `native` names with `url_for`. Returns the names of its own endpoints;
    None: it is not a Flask app.
    """
    flask = find_flask(app)
    if flask is None:
        return None
    handlers = getattr(flask, "url_build_error_handlers", None)  # plain Werkzeug apps have only a map
    if handlers is not None and (native.rules or native.unnamed):
        # Only with Flask, which itself needs Werkzeug: the process of any other app stays small.
        from waterspout.wsgi.urls import NativeUrls

        handlers[:] = [handler for handler in handlers if not isinstance(handler, NativeUrls)]
        urls = NativeUrls(native)
        handlers.append(urls)
        urls.answer_for(flask.url_map)
    return _list_endpoints(flask.url_map, getattr(flask, "import_name", ""))


def find_converters(url_map: Any) -> dict[str, Any]:
    """The custom converters of a Werkzeug map, by name."""
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
