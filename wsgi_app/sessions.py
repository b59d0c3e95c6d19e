"""Who is signed in: a signed cookie that holds an operator's id and a mark of this sign-in."""

import hashlib
import re
from dataclasses import dataclass
from datetime import timedelta

from flask import Flask, request
from flask.sessions import SecureCookieSessionInterface
from flask_login import LoginManager, UserMixin, current_user
from sqlalchemy.orm import Session

from app.settings import Settings
from app.store import Unknown
from app.store.audit import Actor
from app.store.rows import find
from app.store.tables import Operator
from waterspout.service.sites import is_loopback_name
from wsgi_app.resources import current_settings, current_store

# From the last sign-in on. The cookie itself is dropped when the browser is closed.
SESSION_LASTS = timedelta(days=7)
COOKIE = "board"


@dataclass(frozen=True, slots=True)
class SignedIn(UserMixin):  # type: ignore[misc]  # Flask-Login has no types
    """An operator as Flask-Login expects one. `mark` changes with each new password and each sign-out: a copy
    of the cookie is then worthless.
    """

    id: int
    name: str
    mark: str

    @classmethod
    def from_operator(cls, operator: Operator) -> "SignedIn":
        stay = f"{operator.sign_outs}:{operator.password}"
        return cls(operator.id, operator.name, hashlib.sha256(stay.encode()).hexdigest()[:16])

    def get_id(self) -> str:
        return f"{self.id}:{self.mark}"


def load_operator(session_id: str) -> SignedIn | None:
    return current_store().read(read_operator, session_id)


def read_operator(session: Session, session_id: str) -> SignedIn | None:
    """Return the operator of a session, unless they were disabled, signed out or given a new password."""
    found = re.fullmatch(r"([0-9]{1,10}):[0-9a-f]{16}", session_id)
    if not found:
        return None
    try:
        operator = find(session, Operator, int(found[1]))
    except Unknown:
        return None
    signed_in = SignedIn.from_operator(operator)
    return signed_in if operator.disabled_at is None and signed_in.get_id() == session_id else None


def current_actor() -> Actor:
    """Return who sent the current request."""
    return Actor(current_user.name, request.remote_addr or "")


class PrivateCookies(SecureCookieSessionInterface):
    """Sessions in a cookie that is sent over TLS only, unless it never leaves this machine; and only to the
    board, where it shares its host with others.
    """

    def get_cookie_path(self, app: Flask) -> str:
        return request.script_root or "/"

    def get_cookie_secure(self, app: Flask) -> bool:
        https = request.is_secure or current_settings().url.startswith("https:")
        return https or not is_loopback_name(request.host)


def init_sessions(app: Flask, settings: Settings) -> None:
    app.secret_key = settings.secret_key
    app.config.update(
        SECRET_KEY_FALLBACKS=list(settings.secret_key_fallbacks),
        SESSION_COOKIE_NAME=COOKIE,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        PERMANENT_SESSION_LIFETIME=SESSION_LASTS,
    )
    app.session_interface = PrivateCookies()
    manager = LoginManager()
    manager.user_loader(load_operator)
    manager.login_view = "sign_in.show_form"
    manager.login_message = None
    manager.init_app(app)
