"""Who may use `/admin/` while nobody can sign in: the person at this machine, on a page of this site.

Two things are kept out: other machines, and pages of other sites that make this machine's browser post here.
Each check returns the reason for refusing, or None.
"""

from ipaddress import IPv6Address, ip_address
from urllib.parse import urlsplit

from flask import Request, abort, request

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

# What a reverse proxy adds. Behind one on this machine, everybody's address is this machine's. Waterspout
# drops such fields of untrusted peers, and says so in environ. A proxy that adds none can't be told: keep
# `/admin/` out of its reach.
PROXY_FIELDS = ("Forwarded", "X-Forwarded-For", "X-Real-IP", "Via")

# Where a browser says the request was made: on a page of this very origin, or by the person alone.
OWN_SITES = frozenset({"same-origin", "none"})


def admit() -> None:
    """Answer 403 unless the request in hand passes `find_refusal`. For `before_request`."""
    refusal = find_refusal(request)
    if refusal:
        abort(403, refusal)


def find_refusal(request: Request) -> str | None:
    """Return why the request may not touch `/admin/`, or None."""
    if not is_loopback(request.remote_addr or "") or is_proxied(request):
        return "Until sign-in exists, incidents can be posted only from the machine that the board runs on."
    # A hostile name that resolves to this machine makes its pages same-origin with ours: only the name tells.
    if not is_loopback_name(request.host):
        return "Open this page as http://localhost or http://127.0.0.1: other names are refused."
    if request.method not in SAFE_METHODS and is_cross_site(request):
        return "This was sent from a page of another site, and has been refused."
    return None


def is_proxied(request: Request) -> bool:
    """Whether somebody else's request was passed on, as far as can be seen."""
    dropped = "waterspout.forwarded" in request.environ
    return dropped or any(name in request.headers for name in PROXY_FIELDS)


def is_loopback(address: str) -> bool:
    """Whether a REMOTE_ADDR is this machine's own; one that is no IP address is not."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped:
        return parsed.ipv4_mapped.is_loopback
    return parsed.is_loopback


def is_loopback_name(host: str) -> bool:
    """Whether a `Host` names this machine to every browser (RFC 6761, section 6.3), whatever its port."""
    try:
        hostname = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return hostname == "localhost" or hostname.endswith(".localhost") or is_loopback(hostname)


def is_cross_site(request: Request) -> bool:
    """Whether the browser says that another site made the request. What is no browser says nothing."""
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    own_origin = request.host_url.rstrip("/")
    return (site is not None and site not in OWN_SITES) or (origin is not None and origin != own_origin)
