"""Signing in and out, and becoming an operator by invitation."""

import re

from flask import Blueprint, abort, redirect, render_template, request, session, url_for
from flask_login import current_user, login_user, logout_user
from werkzeug.wrappers import Response

from app.passwords import hash_password, is_outdated, is_password, make_decoy
from app.store import Refused, Unknown
from app.store.audit import Actor, note
from app.store.operators import (
    TooManyGuesses,
    accept_invitation,
    count_guess,
    end_sessions,
    find_invitation,
    find_operator,
    forget_guesses,
    replace_hash,
)
from app.store.tables import Operator
from waterspout.service.sites import customer_of, is_loopback_name
from wsgi_app.forms import JoinForm, SignInForm
from wsgi_app.headers import HEADERS
from wsgi_app.resources import current_settings, current_store
from wsgi_app.sessions import SignedIn, current_actor

sign_in = Blueprint("sign_in", __name__)

# Verified if nobody has the name, so that the time of the answer does not tell which names exist.
NOBODYS_HASH = make_decoy()


@sign_in.after_request
def keep_private(response: Response) -> Response:
    """Make browsers send the form by https if BOARD_URL says that the board uses it, but a proxy let the page
    be fetched without: if the proxy doesn't say so, both look the same to us.
    """
    has_tls = current_settings().url.startswith("https:")
    if has_tls and not request.is_secure and not is_loopback_name(request.host):
        policy = HEADERS["Content-Security-Policy"]
        response.headers["Content-Security-Policy"] = f"{policy}; upgrade-insecure-requests"
    return response


@sign_in.get("/login")
def show_form() -> Response | str:
    if current_user.is_authenticated:
        return redirect(find_target())
    return render_template("login.html", form=SignInForm())


@sign_in.post("/login")
def enter() -> Response | tuple[str, int] | tuple[str, int, dict[str, str]]:
    form = SignInForm()
    if not form.validate():
        return render_template("login.html", form=form), 400
    try:
        operator = check_guess(form.name.data or "", form.password.data or "")
    except TooManyGuesses as error:
        complaint = f"Too many attempts. Try again in {describe_wait(error.retry_after)}."
        page = render_template("login.html", form=form, complaint=complaint)
        return page, 429, {"Retry-After": str(error.retry_after)}
    if operator is None:
        return render_template("login.html", form=form, complaint="Name or password is wrong."), 400
    begin_session(operator)
    return redirect(find_target(), 303)


@sign_in.post("/logout")
def leave() -> Response:
    if current_user.is_authenticated:
        current_store().write(end_sessions, current_actor())
    logout_user()
    session.clear()
    return redirect(url_for("public.show_board"), 303)


@sign_in.route("/join/<token>", methods=["GET", "POST"])
def join(token: str) -> Response | str | tuple[str, int]:
    """Show the form of an invitation, and make whoever fills it in an operator."""
    try:
        current_store().read(find_invitation, token)
    except Refused as error:
        abort(410, str(error))
    form = JoinForm()
    if not form.is_submitted():
        return render_template("join.html", form=form)
    operator = form.submit(
        accept_invitation, token, by=Actor(form.name.data or "", request.remote_addr or "")
    )
    if operator is None:
        return render_template("join.html", form=form), 400
    begin_session(operator)
    return redirect(url_for("admin.show_form"), 303)


def check_guess(name: str, password: str) -> Operator | None:
    """Return the operator with this name and password, or None; raises `TooManyGuesses`: not checked."""
    store, address = current_store(), customer_of(request.remote_addr)
    store.write(count_guess, name, address)
    try:
        operator = store.read(find_operator, name)
    except Unknown:
        is_password(password, NOBODYS_HASH)
        return None
    actor = Actor(operator.name, request.remote_addr or "")
    if not is_password(password, operator.password) or operator.disabled_at:
        store.write(note, actor, "failed to sign in")
        return None
    store.write(forget_guesses, name, address)
    store.write(note, actor, "signed in")
    if is_outdated(operator.password):
        store.write(replace_hash, operator.id, operator.password, hash_password(password))
        return store.read(find_operator, name)
    return operator


def begin_session(operator: Operator) -> None:
    """Sign the operator in, in a session with nothing of what was in the cookie before."""
    session.clear()
    login_user(SignedIn.from_operator(operator))


def find_target() -> str:
    """Return where to go after signing in: the requested page, if it is one of ours."""
    wanted = request.args.get("next", "")
    return wanted if is_own_path(wanted) else url_for("admin.show_form")


def is_own_path(target: str) -> bool:
    """Whether every browser takes it for a path on this site: "//evil.example" and "/\\evil" are not."""
    return re.fullmatch(r"/(?!/)[!-\[\]-~]*", target) is not None


def describe_wait(seconds: int) -> str:
    minutes = -(-seconds // 60)
    return "a minute" if minutes == 1 else f"{minutes} minutes"
