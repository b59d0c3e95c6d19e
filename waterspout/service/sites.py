"""Where a request comes from, as far as it says: another site's page, this machine, whose network. Pure."""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

from waterspout.system.loopback import is_loopback

#: Sec-Fetch-Site for requests made by a page of this very origin, or by the user directly.
_OWN_SITES = frozenset({"same-origin", "none"})


def is_cross_site(site: str | None, origin: str | None, own_origins: Collection[str]) -> bool:
    """Whether a browser says that another site made the request, by the fields `Sec-Fetch-Site` and `Origin`.

    Clients that aren't browsers send neither: False. `own_origins`: such as "https://status.example.com".
    """
    return (site is not None and site not in _OWN_SITES) or (origin is not None and origin not in own_origins)


def is_loopback_name(host: str) -> bool:
    """Whether a `Host` means this machine to every browser (RFC 6761, section 6.3), whatever its port."""
    try:
        hostname = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return hostname == "localhost" or hostname.endswith(".localhost") or is_loopback(hostname)


def customer_of(address: str | None) -> str:
    """Return the key for counting a client's attempts: for IPv6, the network of one customer (RFC 6177)."""
    try:
        parsed = ip_address(address or "")
    except ValueError:
        return "unknown"
    if isinstance(parsed, IPv6Address) and not parsed.ipv4_mapped:
        return str(ip_network((parsed, 64), strict=False))
    return str(parsed)
