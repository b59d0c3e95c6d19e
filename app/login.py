"""Who is signed in, for native handlers: Flask's session, read from the same cookie with the same key."""

from flask import Flask
from itsdangerous import BadSignature, URLSafeTimedSerializer
from tornado.web import RequestHandler

from app.settings import Settings
from waterspout.service.sql import AsyncStore
from wsgi_app.sessions import COOKIE, SESSION_LASTS, PrivateCookies, SignedIn, init_sessions, read_operator


class Login:
    """The application's `login_loader`."""

    def __init__(self, settings: Settings, store: AsyncStore) -> None:
        app = Flask("wsgi_app")  # serves nothing: it holds what sessions are signed with
        init_sessions(app, settings)
        serializer = PrivateCookies().get_signing_serializer(app)
        assert serializer is not None  # there is a key
        self._serializer: URLSafeTimedSerializer = serializer
        self._store = store

    async def __call__(self, handler: RequestHandler) -> SignedIn | None:
        """Return the operator whose session the request belongs to, if it is still good for anything."""
        try:
            session = self._serializer.loads(
                handler.get_cookie(COOKIE) or "", max_age=int(SESSION_LASTS.total_seconds())
            )
        except BadSignature:
            return None
        return await self._store.read(read_operator, session.get("_user_id", ""))
