"""A Flask app's session, for native handlers: read from the same cookie, with the same key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Flask
from itsdangerous import BadSignature
from tornado.web import RequestHandler
from werkzeug.http import parse_cookie

from waterspout.native.access import vary_with_cookies


class FlaskSessions:
    """What Flask's own sessions, which are signed cookies, say of a request. Reads, and never writes.

    `app`: the Flask app, or one that serves nothing (where views run in processes of their own, the event
    loop need not load them) and has the same `SECRET_KEY`, `SECRET_KEY_FALLBACKS`, `SESSION_COOKIE_NAME`,
    `PERMANENT_SESSION_LIFETIME` and `session_interface`: load what the app loads. By the lifetime of `app` a
    session is too old; where it was not told, that is Flask's 31 days. Raises ValueError: it has no key, or
    sessions that are kept elsewhere.

    Of Flask-Login it knows who has signed in, and nothing else: `session_protection` is not asked, and who
    has no more than a remember-me cookie is unknown until a view of Flask's has made a session of it. No
    session is prolonged, either, as a request to Flask prolongs a permanent one.
    """

    def __init__(self, app: Flask) -> None:
        find = getattr(app.session_interface, "get_signing_serializer", None)
        serializer = None if find is None else find(app)
        if serializer is None:
            raise ValueError(
                "sessions can be read from a cookie that is signed with the app's secret_key only"
            )
        self._serializer = serializer
        self._cookie = app.config["SESSION_COOKIE_NAME"]
        self._max_age = int(app.permanent_session_lifetime.total_seconds())

    def read(self, handler: RequestHandler) -> Mapping[str, Any]:
        """The session of the request; empty, if it has none, or one that is forged or too old.

        Whoever Flask-Login has signed in is `["_user_id"]`. As with Flask, the reply says `Vary: Cookie`.
        """
        vary_with_cookies(handler)
        try:
            # As Flask reads it: of two cookies of one name it takes the first, Tornado the last.
            cookies = parse_cookie(";".join(handler.request.headers.get_list("Cookie")))
            found = self._serializer.loads(cookies.get(self._cookie, ""), max_age=self._max_age)
        except (BadSignature, UnicodeError):
            return {}
        return found if isinstance(found, Mapping) else {}
