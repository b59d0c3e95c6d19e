"""A Flask app's session, for native handlers: read from the same cookie, with the same key."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from flask import Flask
from itsdangerous import BadSignature, BadTimeSignature, SignatureExpired
from tornado.web import RequestHandler
from werkzeug.http import parse_cookie

from waterspout.limits import FOREIGN_SESSIONS_PAUSE
from waterspout.logs.tally import Tally
from waterspout.native.varying import vary_with_cookies

_logger = logging.getLogger(__name__)
#: What Flask's sessions look like: the data, when it was signed, the signature. Compressed data begins with a
#: dot.
_SESSION: Final = re.compile(r"\.?[\w-]+={0,2}\.[\w-]+\.[\w-]+", re.ASCII)
#: What those of Flask-Session and the like look like: some 32 random characters or more, perhaps signed.
_IDENTIFIER: Final = re.compile(r"[\w-]{32,128}(\.[\w-]{27,86})?", re.ASCII)


class FlaskSessions:
    """Reads Flask's own sessions, which are signed cookies, from requests. Never writes them.

    `app`: the Flask app, or one that serves nothing (where views run in processes of their own, the event
    loop need not load them) and has the same `SECRET_KEY`, `SECRET_KEY_FALLBACKS`, `SESSION_COOKIE_NAME`,
    `PERMANENT_SESSION_LIFETIME` and `session_interface`: load the settings that the app loads. The lifetime
    set on `app` decides when a session is too old; by default that is Flask's 31 days. Raises ValueError: it
    has no key, or its sessions are kept elsewhere.

    From Flask-Login it knows who has signed in, and nothing else: `session_protection` is not checked, and a
    user with only a remember-me cookie is unknown until a Flask view has turned that into a session. Nor is a
    permanent session extended, as a request to Flask would extend it.
    """

    def __init__(self, app: Flask) -> None:
        find = getattr(app.session_interface, "get_signing_serializer", None)
        if find is None:
            raise ValueError(
                "the app keeps its sessions elsewhere: let the login_loader read them there "
                "(docs/routing.md, Asking the app's own code)"
            )
        self._serializer = find(app)
        if self._serializer is None:
            raise ValueError("the app has no SECRET_KEY")
        self._cookie = app.config["SESSION_COOKIE_NAME"]
        self._max_age = int(app.permanent_session_lifetime.total_seconds())
        self._foreign = Tally(FOREIGN_SESSIONS_PAUSE)
        self._kept_elsewhere = Tally(FOREIGN_SESSIONS_PAUSE)

    def read(self, handler: RequestHandler) -> Mapping[str, Any]:
        """The session of the request; empty if it has none, or one that is forged or too old.

        The user that Flask-Login has signed in is `["_user_id"]`. As with Flask, the reply says
        `Vary: Cookie`.
        """
        vary_with_cookies(handler)
        try:
            # As Flask reads it: of two cookies with one name it takes the first, Tornado the last.
            cookies = parse_cookie(";".join(handler.request.headers.get_list("Cookie")))
            cookie = cookies.get(self._cookie, "")
            found = self._serializer.loads(cookie, max_age=self._max_age)
        except BadSignature as error:
            self._tell_why(cookie, error)
            return {}
        except UnicodeError:
            return {}
        return found if isinstance(found, Mapping) else {}

    def _is_foreign(self, cookie: str, error: BadSignature) -> bool:
        """Whether it looks like a session that would be valid but for its signature."""
        signed_at = error.date_signed if isinstance(error, BadTimeSignature) else None
        if signed_at is None or isinstance(error, SignatureExpired) or not _SESSION.fullmatch(cookie):
            return False
        return 0 <= (datetime.now(UTC) - signed_at).total_seconds() <= self._max_age

    def _tell_why(self, cookie: str, error: BadSignature) -> None:
        """Log it now and then: else signed-in users are sent to the login page forever, and nobody knows."""
        now = time.monotonic()
        if self._is_foreign(cookie, error):
            if count := self._foreign.count(now):
                _logger.warning(
                    "%s not signed with the SECRET_KEY that FlaskSessions has: give it the settings that the "
                    "app loads (a key that is made at each start, as by os.urandom, differs in each "
                    "process)",
                    _name(count),
                )
        elif _IDENTIFIER.fullmatch(cookie) and (count := self._kept_elsewhere.count(now)):
            _logger.warning(
                "%s not in Flask's own format, but shaped like an identifier: if the app keeps its sessions "
                "elsewhere (Flask-Session), let the login_loader read them there; FlaskSessions can't "
                "(docs/routing.md, Asking the app's own code)",
                _name(count),
            )


def _name(count: int) -> str:
    return "a session cookie is" if count == 1 else f"{count} session cookies are"
