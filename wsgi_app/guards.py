"""What is kept out: other sites' pages, users who have not signed in, bodies that are too long."""

from flask import Flask, Request, Response, abort, current_app, request
from flask_login import current_user
from flask_wtf import CSRFProtect

from waterspout.service import sites
from wsgi_app.attachments import FILES_SIZE
from wsgi_app.resources import current_settings

# The longest title and text twice over, where every character is four bytes, each sent as three (%F0).
MAX_CONTENT_LENGTH = 64 * 1024

# The only view that takes files.
TAKES_FILES = "admin.post"

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def guard(app: Flask) -> None:
    """Check each request, the cheapest reasons for refusal first; Flask-WTF's token last."""
    app.config["MAX_CONTENT_LENGTH"] = MAX_CONTENT_LENGTH
    # A token is valid as long as its session: somebody who writes for an hour must not lose the text.
    app.config["WTF_CSRF_TIME_LIMIT"] = None
    # `refuse_other_sites` checks where a post comes from, and also knows the board's public address.
    app.config["WTF_CSRF_SSL_STRICT"] = False
    for check in (refuse_other_sites, refuse_open_air, admit_operators, limit_body):
        app.before_request(check)
    CSRFProtect(app)


def refuse_other_sites() -> None:
    """Answer 403 to requests from pages of other sites."""
    if request.method not in SAFE_METHODS and is_cross_site(request, current_settings().url):
        abort(403, "This was sent from a page of another site, and has been refused.")


def refuse_open_air() -> None:
    """Answer 403 where a password would be readable by everybody on the way."""
    if request.blueprint == "sign_in" and not is_private(request, current_settings().url):
        abort(
            403,
            "Signing in needs https, or http://localhost on the machine itself. "
            "If a proxy handles https, set BOARD_URL to the board's address, including https://.",
        )


def admit_operators() -> Response | None:
    """Limit everything under `/admin/` to signed-in operators. Before a body is read."""
    if "admin" not in request.blueprints or current_user.is_authenticated:
        return None
    if request.method not in SAFE_METHODS:
        abort(403, "You are signed out, so nothing was done. Sign in, and send it again.")
    reply: Response = current_app.login_manager.unauthorized()  # type: ignore[attr-defined]
    return reply


def limit_body() -> None:
    """Answer 413 to bodies that are too long."""
    announced = request.content_length or 0
    limit = FILES_SIZE + MAX_CONTENT_LENGTH if request.endpoint == TAKES_FILES else MAX_CONTENT_LENGTH
    if announced > limit:
        abort(413, describe_limit())
    if not announced:
        refuse_long_body()
    request.max_content_length = limit


def refuse_long_body() -> None:
    """Read a body of unannounced length, which must be short: Werkzeug would cut it silently."""
    if len(request.get_data()) >= MAX_CONTENT_LENGTH:
        abort(413, describe_limit())


def describe_limit() -> str:
    if request.endpoint == TAKES_FILES:
        return f"The files of an update may have {FILES_SIZE // 2**20} MiB in all. Nothing was posted."
    return "That is too much. Nothing was done."


def is_cross_site(request: Request, public_url: str = "") -> bool:
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    # As it was sent: `host_url` is decoded for people, with letters that no origin contains.
    own = f"{request.scheme}://{request.host.lower()}"
    return sites.is_cross_site(site, origin, {own, public_url} - {""})


def is_private(request: Request, public_url: str = "") -> bool:
    """Whether nobody on the way can read what the browser sends: over TLS, or inside this machine."""
    return request.is_secure or public_url.startswith("https:") or sites.is_loopback_name(request.host)
