"""Who a request is from and where it was meant to go, behind any proxy: decided once, for both sides. Leaf.

Before a native handler or the WSGI app sees a request, `Proxies.judge` has said what its client's address is,
the scheme, host and port that it used, and which part of the path is only where we are mounted. What the
fields of the request said of it is gone by then, so that nobody can read something else there.
"""

from __future__ import annotations

import socket
from collections.abc import Collection, Iterable
from functools import lru_cache
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from waterspout.exceptions import ConfigurationError
from waterspout.logs.steady import steady
from waterspout.message.forwarded import (
    X_FORWARDED,
    Client,
    Trust,
    is_claim,
    is_of_connection,
    parse_address,
    parse_root_path,
    read_forwarded,
    read_x_forwarded,
    split_host,
)
from waterspout.message.target import split_target

if TYPE_CHECKING:
    from tornado.httputil import HTTPHeaders, RequestStartLine

logger = steady("waterspout.proxies")

#: Which fields of a trusted proxy are believed. `none`: not one, and all are passed on.
FAMILIES: Final = ("x-forwarded", "forwarded", "none")
#: What `Proxies` is told, by its names everywhere: as a setting of an application, and as an option.
PROXY_SETTINGS: Final[tuple[str, ...]] = ("trusted_proxies", "proxy_headers", "root_path")
#: A peer on a UNIX socket has no address; this is what Tornado calls it.
_UNIX_FAMILY: Final = getattr(socket, "AF_UNIX", None)
_UNIX: Final = "0.0.0.0"
#: What a peer on a UNIX socket is called in the log.
_ON_UNIX: Final = "whoever connects to the UNIX socket"
#: Fields that proxies set: who sends one of them from close by is one of the operator's, in all likelihood.
_TELLING: Final = {name.title(): name for name in (*X_FORWARDED, "forwarded")}

#: The two ends of a client's connection, as the app is told of them: wsgi.url_scheme, REMOTE_ADDR,
#: REMOTE_PORT, SERVER_NAME, SERVER_PORT.
Ends = tuple[str, str, str, str, str]


class Verdict(NamedTuple):
    """What is true of a request.

    `target`: `root_path`, and behind it what rules and the app know as the path. `outside`: its path does
    not begin with the root path that was configured. `removed`: names, in lower case, of fields that nobody
    sees. `host`: None, as it came. `context`: the connection's, for this request alone; None, as it is.
    `disbelieved`: it spoke for another client, and may not.
    """

    target: str
    root_path: str = ""
    outside: bool = False
    removed: frozenset[str] = frozenset()
    host: str | None = None
    context: Any = None
    disbelieved: bool = False

    @property
    def path(self) -> str:
        """The path that rules are matched against; outside, all of it. Of the root path itself it is `/`: an
        empty one is the WSGI app's alone to send elsewhere (PEP 3333 on PATH_INFO).
        """
        return self.target.partition("?")[0][0 if self.outside else len(self.root_path) :] or "/"


class Proxies:
    """Which proxies are trusted, what they are believed, and where everything is mounted.

    `trusted_proxies`: networks, as CIDR; `unix`: whoever reaches us by a UNIX socket. `proxy_headers`: see
    `FAMILIES`; by default the first; or those of `X_FORWARDED` alone that are named, for proxies that set no
    others. `root_path`: paths begin with it, and it is no part of them. Raises ConfigurationError.

    Attributes: `settings`, these three by name.
    """

    def __init__(
        self,
        trusted_proxies: Iterable[str] = (),
        proxy_headers: str | Collection[str] | None = None,
        root_path: str | None = None,
    ) -> None:
        trusted = (trusted_proxies,) if isinstance(trusted_proxies, str) else tuple(trusted_proxies)
        self.settings = dict(
            zip(PROXY_SETTINGS, (trusted, proxy_headers, root_path), strict=True)  # what can be read once was
        )
        self.is_trusted = _build_trust(trusted)
        self._trusted = frozenset(map(str.strip, trusted))
        if proxy_headers is not None and not isinstance(proxy_headers, str):
            proxy_headers = ",".join(proxy_headers)
        self.headers = FAMILIES[0] if proxy_headers is None else check_headers(proxy_headers)
        if proxy_headers is not None and self.headers != "none" and not trusted:
            raise ConfigurationError(f"proxy headers {proxy_headers}: of which proxies? Name them as trusted")
        self._named = None if self.headers in FAMILIES else frozenset(self.headers.split(","))
        self.root_path = check_root_path(root_path or "")
        self._tells = False

    def adds_nothing_to(self, others: Proxies) -> bool:
        """Whether these say no more than `others` do, before which they may stand: the same, or nothing."""
        ours, theirs, nothing = (
            (each._trusted, each.headers, each.root_path) for each in (self, others, Proxies())
        )
        return ours in (theirs, nothing)

    def judge(self, connection: Any, target: str, fields: Iterable[tuple[str, str]]) -> Verdict | None:
        """What is true of a request with this `target` and these `fields`, which come in on a Tornado
        `HTTPConnection`. None: all is as it came.
        """
        claims: dict[str, str] = {}
        host = ""
        for name, value in fields:
            lower = name.lower()
            if is_claim(lower):
                claims[lower] = f"{claims[lower]},{value}" if lower in claims else value
            elif lower == "host":
                host = value
        if not claims and not self.root_path:
            return None
        authority, path, query = split_target(target)
        context, removed, disbelieved, stripped = None, frozenset(claims), False, ""
        new_host = authority or None  # RFC 9112 section 3.2.2: it overrides Host
        if claims and not self._is_trusted_peer(connection.context):
            disbelieved = True
            if self._tells:
                self._tell(connection.context, claims)
        elif claims and self.headers == "none":
            removed = frozenset()
        elif claims:
            _restore(connection.context)
            read = read_forwarded if self.headers == "forwarded" else read_x_forwarded
            removed = frozenset(filter(is_of_connection, claims))
            if self._named is not None:  # the others may be the client's own, whom the proxy let write them
                claims = {name: claims[name] for name in self._named & claims.keys()}
            client = read(claims, connection.context.protocol, authority or host, self.is_trusted)
            new_host, stripped = client.host or new_host, client.root_path
            context = _rewrite(connection, client)
        root_path, rest, outside = self._mount(path, stripped)
        if (root_path or new_host) and path != "*" and not outside:
            target = root_path + rest + ("?" + query if "?" in target else "")
        return Verdict(target, root_path, outside, removed, new_host, context, disbelieved)

    def _mount(self, path: str, stripped: str) -> tuple[str, str, bool]:
        """The root path of a request, what `path` is below it, and whether it is outside. `stripped`: what a
        trusted proxy says that it took off before.
        """
        root = self.root_path
        if path == "*":
            return "", path, False
        if not root:
            return stripped, path, False
        is_below = (path + "/").startswith(root + "/")
        if stripped.endswith(root):  # it knows of ours, and may have taken it off, or not
            return stripped, path[len(root) :] if is_below else path, False
        return stripped + root, path[len(root) :], not is_below

    def tell_of_untrusted(self) -> None:
        """Warn once of a proxy that is not trusted, as it seems. For `waterspout serve`, whose option it is:
        another server may have believed the peer by itself (`xheaders`).
        """
        self._tells = self.headers != "none"

    def find_doubt(self, families: Collection[int]) -> str:
        """What is wrong with whom we trust, where sockets of these `families` are served; "": nothing."""
        is_unix = {family == _UNIX_FAMILY for family in families}
        if not self._trusted or len(is_unix) != 1:
            return ""
        if True in is_unix and "unix" not in self._trusted:
            return "--trusted-proxies: nobody can match, for only a UNIX socket is served; name unix"
        if False in is_unix and self._trusted == {"unix"}:
            return "--trusted-proxies unix: nobody can match, for no UNIX socket is served; name networks"
        return ""

    def _tell(self, context: Any, claims: Collection[str]) -> None:
        """Say once that a proxy of the operator's own is not believed, as it seems: one with an address that
        strangers don't have. Else redirects lead to http://, and all clients are one, without a word. A
        warning: what is served is wrong then.
        """
        field = next((name for name, lower in _TELLING.items() if lower in claims), "")
        peer = _name_neighbour(context) if field else ""
        if peer:
            self._tells = False
            logger.warning(
                "%s sends %s and is not among --trusted-proxies%s: removed (said once; docs/proxies.md)",
                peer,
                field,
                "" if peer != _ON_UNIX else " (unix)",
            )

    def _is_trusted_peer(self, context: Any) -> bool:
        """By the address of the connection itself: what `xheaders` makes of `remote_ip` is a claim, too."""
        address = getattr(context, "address", None)
        if isinstance(address, tuple) and address:
            return self.is_trusted(address[0])
        # A peer that reset its connection before it was accepted has no address either: the family tells it
        # from a UNIX socket's.
        return getattr(context, "address_family", None) == _UNIX_FAMILY and self.is_trusted(_UNIX)


def check_headers(text: str) -> str:
    """Which fields are believed, as somebody has written it: one of `FAMILIES`, or names out of `X_FORWARDED`
    with commas between them. In lower case, without spaces. Raises ConfigurationError.
    """
    names = [name.strip() for name in text.lower().split(",")]
    if len(names) == 1 and names[0] in FAMILIES:
        return names[0]
    for name in names:
        if name not in X_FORWARDED:
            raise ConfigurationError(
                f"proxy headers: {name!r} is no field that can be believed: say {', '.join(FAMILIES)}, "
                f"or some of {', '.join(X_FORWARDED)}"
            )
    return ",".join(names)


def check_root_path(text: str) -> str:
    """A root path as it is written by hand. Raises ConfigurationError."""
    root_path = parse_root_path(text)
    if root_path is None:
        raise ConfigurationError(
            f"root path {text!r}: it is a path like /board, of letters, digits and - . _ ~ @ : + , ="
        )
    return root_path


def verdict_of(connection: Any) -> Verdict | None:
    """The verdict on the request that comes in on this `HTTPConnection`; None: all is as it came."""
    verdict: Verdict | None = getattr(connection, "verdict", None)
    return verdict


def judge_once(
    proxies: Proxies, connection: Any, start_line: RequestStartLine, headers: HTTPHeaders
) -> Verdict | None:
    """The verdict on a request whose head Tornado's interface hands over. Unless it has been judged before,
    `headers` are changed, and the verdict is the connection's from here on. None: all is as it came.
    """
    head = getattr(connection, "head", None)  # our own server has looked by now
    is_plain = head is not None and not head.claims and not proxies.root_path
    verdict = verdict_of(connection)
    if verdict is not None or is_plain:
        return verdict
    verdict = proxies.judge(connection, start_line.path, headers.get_all())
    if verdict is None:
        return None
    if hasattr(connection, "amend"):
        connection.amend(verdict)
    else:
        connection.verdict = verdict
        connection.context = verdict.context or connection.context
    for name in verdict.removed:
        del headers[name]
    if verdict.host is not None:
        headers["Host"] = verdict.host
    return verdict


def _name_neighbour(context: Any) -> str:
    """The peer of a connection that comes from this machine or from a network that is not the internet's;
    "": it comes from elsewhere.
    """
    peer = getattr(context, "address", None)
    if isinstance(peer, tuple) and peer:
        address = parse_address(peer[0])
        return "" if address is None or address.is_global else str(peer[0])
    return _ON_UNIX if getattr(context, "address_family", None) == _UNIX_FAMILY else ""


def _build_trust(networks: tuple[str, ...]) -> Trust:
    """Whether an address lies in one of `networks`. Raises ConfigurationError: no network, or all."""
    words = [word.strip() for word in networks]
    try:
        trusted = {
            word: ip_network(_UNIX if word == "unix" else word, strict=False) for word in words if word != "*"
        }
    except ValueError as error:
        raise ConfigurationError(f"trusted proxies: {error}, like 127.0.0.1 or 10.0.0.0/8") from None
    for word in words:
        if word == "*" or trusted[word].prefixlen == 0:
            raise ConfigurationError(
                f"trusted proxies: {word!r} would let every client say who it is; name networks"
            )

    @lru_cache(maxsize=1024)
    def is_trusted(text: str) -> bool:
        address = parse_address(text)
        return address is not None and any(address in network for network in trusted.values())

    return is_trusted


def _restore(context: Any) -> None:
    """Undo what Tornado's `xheaders` has made of the fields, which come to be judged."""
    restore = getattr(context, "_unapply_xheaders", None)
    if restore is not None:
        restore()


def _rewrite(connection: Any, client: Client) -> Any:
    """A copy of the connection's context that tells of this client."""
    _scheme, remote_ip, remote_port, server_name, server_port = find_ends(connection)
    old = connection.context
    context = object.__new__(type(old))
    context.__dict__.update(old.__dict__)
    if client.address:
        remote_ip, remote_port = client.address, client.remote_port
    if client.host:
        server_name, server_port = split_host(client.host, client.scheme)
    context.remote_ip = context._orig_remote_ip = remote_ip
    context.protocol = context._orig_protocol = client.scheme
    context.ends = client.scheme, remote_ip, remote_port, server_name, server_port
    return context


def find_ends(connection: Any) -> Ends:
    """Who the client is and where it came in: of an `HTTPConnection` whose request is being served.

    Kept on the connection's context, for as long as that says the same of the client (`xheaders` changes it
    for one request): saves a system call and some formatting for each request.
    """
    context = connection.context
    known: Ends | None = getattr(context, "ends", None)
    if known is None or known[0] != context.protocol or known[1] != context.remote_ip:
        known = context.ends = _find_ends(connection.stream, context)
    return known


def _find_ends(stream: Any, context: Any) -> Ends:
    scheme = context.protocol
    remote = getattr(context, "address", None)
    remote_port = str(remote[1]) if isinstance(remote, tuple) else ""
    try:
        local = stream.socket.getsockname()
    except (AttributeError, OSError):
        local = None
    if isinstance(local, tuple):
        return scheme, context.remote_ip, remote_port, str(local[0]), str(local[1])
    # A UNIX socket has neither name nor port.
    return scheme, context.remote_ip, remote_port, "localhost", "443" if scheme == "https" else "80"
