"""Who is signed in, for native handlers: Flask's session, read from the same cookie with the same key."""

from flask import Flask
from tornado.web import RequestHandler

from app.settings import Settings
from waterspout.service.sessions import FlaskSessions
from waterspout.service.sql import AsyncStore
from wsgi_app.sessions import SignedIn, init_sessions, read_operator


class Login:
    """The application's `login_loader`."""

    def __init__(self, settings: Settings, store: AsyncStore) -> None:
        app = Flask("wsgi_app")  # serves nothing: it holds the keys that sessions are signed with
        init_sessions(app, settings)
        self._sessions = FlaskSessions(app)
        self._store = store

    async def __call__(self, handler: RequestHandler) -> SignedIn | None:
        """Return the operator whose session the request belongs to, if that is still valid."""
        session_id = self._sessions.read(handler).get("_user_id")
        return None if session_id is None else await self._store.read(read_operator, session_id)
