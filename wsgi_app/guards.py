"""What keeps out who has no business here: pages of other sites, and everybody who has not signed in.

And what is known of where a request comes from.
"""

from ipaddress import IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

from flask import Request, Response, abort, current_app, request
from flask_login import current_user

from wsgi_app.resources import current_settings

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

# Where a browser says the request was made: on a page of this very origin, or by the person alone.
OWN_SITES = frozenset({"same-origin", "none"})


def refuse_other_sites() -> None:
    """Answer 403 to what a page of another site sends. For `before_request`."""
    if request.method not in SAFE_METHODS and is_cross_site(request, current_settings().url):
        abort(403, "This was sent from a page of another site, and has been refused.")


def refuse_open_air() -> None:
    """Answer 403 where a password would travel readable by everybody on the way. For `before_request`."""
    if request.blueprint == "sign_in" and not is_private(request, current_settings().url):
        abort(
            403,
            "Signing in needs https, or http://localhost on the machine itself. "
            "If a proxy does the https, say so: set BOARD_URL to the board's address, https and all.",
        )


def admit_operators() -> Response | None:
    """Keep everything under `/admin/` to who has signed in. For `before_request`, before a body is read."""
    if "admin" not in request.blueprints or current_user.is_authenticated:
        return None
    if request.method not in SAFE_METHODS:
        abort(403, "You are signed out, so nothing was done. Sign in, and send it again.")
    reply: Response = current_app.login_manager.unauthorized()  # type: ignore[attr-defined]
    return reply


def is_cross_site(request: Request, public_url: str = "") -> bool:
    """Whether the browser says that another site made the request. What is no browser says nothing."""
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    own_origins = {request.host_url.rstrip("/"), public_url or None}
    return (site is not None and site not in OWN_SITES) or (origin is not None and origin not in own_origins)


def is_private(request: Request, public_url: str = "") -> bool:
    """Whether nobody on the way can read what the browser sends: over TLS, or inside this machine."""
    return request.is_secure or public_url.startswith("https:") or is_loopback_name(request.host)


def is_loopback_name(host: str) -> bool:
    """Whether a `Host` names this machine to every browser (RFC 6761, section 6.3), whatever its port."""
    try:
        hostname = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return hostname == "localhost" or hostname.endswith(".localhost") or is_loopback(hostname)


def is_loopback(address: str) -> bool:
    """Whether an address is this machine's own; what is no IP address is not."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped:
        return parsed.ipv4_mapped.is_loopback
    return parsed.is_loopback


def counted_address(address: str | None) -> str:
    """Return what guesses from there are counted by: of IPv6, the network of one customer (RFC 6177)."""
    try:
        parsed = ip_address(address or "")
    except ValueError:
        return "unknown"
    if isinstance(parsed, IPv6Address) and not parsed.ipv4_mapped:
        return str(ip_network((parsed, 64), strict=False))
    return str(parsed)
