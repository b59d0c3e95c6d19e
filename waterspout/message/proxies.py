"""Who a request is from and where it was meant to go, behind any proxy: decided once, for both sides. Leaf.

Before a native handler or the WSGI app sees a request, `Proxies.judge` has decided its client's address, the
scheme, host and port that it used, and which part of the path is only where we are mounted. What the fields
of the request said about these is gone by then, so that no code can read something else there.
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
    is_unreadable,
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

#: Which fields of a trusted proxy are believed. `none`: none of them, and all are passed on.
FAMILIES: Final = ("x-forwarded", "forwarded", "none")
#: The arguments of `Proxies`, by their names everywhere: as settings of an application, and as options.
PROXY_SETTINGS: Final[tuple[str, ...]] = ("trusted_proxies", "proxy_headers", "root_path")
#: A peer on a UNIX socket has no address; this is what Tornado calls it.
_UNIX_FAMILY: Final = getattr(socket, "AF_UNIX", None)
_UNIX: Final = "0.0.0.0"
#: The name in the log of a peer on a UNIX socket.
_ON_UNIX: Final = "a peer on the UNIX socket"
#: Fields that proxies set: a nearby peer that sends one is most likely one of the operator's own proxies.
_TELLING: Final = {name.title(): name for name in (*X_FORWARDED, "forwarded")}
#: Fields in which a proxy may name its client.
_NAMING: Final = {
    name: name.lower()
    for name in (
        *("X-Forwarded-For", "Forwarded", "X-Real-IP", "CF-Connecting-IP", "True-Client-IP"),
        *("X-Client-IP", "X-Cluster-Client-IP", "X-Envoy-External-Address", "CloudFront-Viewer-Address"),
        *("Fly-Client-IP", "Fastly-Client-IP", "Client-IP", "X-Original-Forwarded-For"),
    )
}

#: Fields that say what another one does, or an option: an app may read them, and here they are removed.
_SYNONYMS: Final = {
    **dict.fromkeys(
        ("x-script-name", "script_name"),  # the second is gunicorn's
        ("x-forwarded-prefix", "the prefix is read from X-Forwarded-Prefix, or set by --root-path"),
    ),
    **dict.fromkeys(
        ("x-scheme", "x-url-scheme", "x-forwarded-scheme", "x-forwarded-ssl", "front-end-https"),
        ("x-forwarded-proto", "the scheme is read from X-Forwarded-Proto"),
    ),
}

#: The two ends of a client's connection, as the app sees them: wsgi.url_scheme, REMOTE_ADDR, REMOTE_PORT,
#: SERVER_NAME, SERVER_PORT.
Ends = tuple[str, str, str, str, str]


class Verdict(NamedTuple):
    """What is true of a request.

    `target`: `root_path`, followed by what rules and the app know as the path. `outside`: its path does not
    begin with the configured root path. `removed`: names, in lower case, of fields that are hidden. `host`:
    None, as received. `context`: the connection's, for this request alone; None, as it is. `disbelieved`: it
    claims another client, and is not trusted to.
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
        """The path that rules are matched against; if outside, all of it. For the root path itself it is `/`:
        an empty one is for the WSGI app alone to redirect (PEP 3333 on PATH_INFO).
        """
        return self.target.partition("?")[0][0 if self.outside else len(self.root_path) :] or "/"


class Proxies:
    """Which proxies are trusted, which of their fields are believed, and where everything is mounted.

    `trusted_proxies`: networks, as CIDR; `unix`: any peer on a UNIX socket. `proxy_headers`: see `FAMILIES`;
    by default the first; or only the named ones of `X_FORWARDED`, for proxies that set no others.
    `root_path`: paths begin with it, and it is removed from them. Raises ConfigurationError.

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
            zip(PROXY_SETTINGS, (trusted, proxy_headers, root_path), strict=True)  # iterators have been read
        )
        self.is_trusted = _build_trust(trusted)
        self._trusted = frozenset(map(str.strip, trusted))
        if proxy_headers is not None and not isinstance(proxy_headers, str):
            proxy_headers = ",".join(proxy_headers)
        self.headers = FAMILIES[0] if proxy_headers is None else check_headers(proxy_headers)
        if proxy_headers is not None and self.headers != "none" and not trusted:
            raise ConfigurationError(f"proxy headers {proxy_headers}: name the trusted proxies, too")
        self._named = None if self.headers in FAMILIES else frozenset(self.headers.split(","))
        self.root_path = check_root_path(root_path or "")
        self._tells = self._tells_trusted = self._tells_synonyms = False

    def adds_nothing_to(self, others: Proxies) -> bool:
        """Whether these say no more than `others`, in front of which they may be: the same, or nothing."""
        ours, theirs, nothing = (
            (each._trusted, each.headers, each.root_path) for each in (self, others, Proxies())
        )
        return ours in (theirs, nothing)

    def judge(self, connection: Any, target: str, fields: Iterable[tuple[str, str]]) -> Verdict | None:
        """What is true of a request with this `target` and these `fields`, received on a Tornado
        `HTTPConnection`. None: everything is as received.
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
            given = claims
            read = read_forwarded if self.headers == "forwarded" else read_x_forwarded
            removed = frozenset(filter(is_of_connection, claims))
            if self._named is not None:  # the others may be the client's own, which the proxy let through
                claims = {name: claims[name] for name in self._named & claims.keys()}
            client = read(claims, connection.context.protocol, authority or host, self.is_trusted)
            if self._tells_trusted and not client.address:
                self._tell_unread(connection.context, given)
            if self._tells_synonyms and not _SYNONYMS.keys().isdisjoint(given):
                self._tell_synonym(connection.context, given)
            new_host, stripped = client.host or new_host, client.root_path
            context = _rewrite(connection, client)
        root_path, rest, outside = self._mount(path, stripped)
        if (root_path or new_host) and path != "*" and not outside:
            target = root_path + rest + ("?" + query if "?" in target else "")
        return Verdict(target, root_path, outside, removed, new_host, context, disbelieved)

    def _mount(self, path: str, stripped: str) -> tuple[str, str, bool]:
        """The root path of a request, what `path` is below it, and whether it is outside. `stripped`: the
        prefix that a trusted proxy says it has removed.
        """
        root = self.root_path
        if path == "*":
            return "", path, False
        if not root:
            return stripped, path, False
        is_below = (path + "/").startswith(root + "/")
        if stripped.endswith(root):  # the proxy knows ours, and may have removed it, or not
            return stripped, path[len(root) :] if is_below else path, False
        return stripped + root, path[len(root) :], not is_below

    def tell_of_doubts(self) -> None:
        """Let `judge` warn, once each, of a proxy that seems to lack trust, of a trusted one that names its
        clients in a field that is not read, and of one that tells their scheme or prefix in such a field. For
        `waterspout serve`, which has the options: another server may have believed the peer by itself
        (`xheaders`).
        """
        self._tells = self._tells_trusted = self.headers != "none"
        self._tells_synonyms = self.headers == FAMILIES[0] or self._named is not None

    def find_doubt(self, families: Collection[int]) -> str:
        """What is wrong with the trusted peers, if sockets of these `families` are served; "": nothing."""
        is_unix = {family == _UNIX_FAMILY for family in families}
        if not self._trusted or len(is_unix) != 1:
            return ""
        if True in is_unix and "unix" not in self._trusted:
            return "--trusted-proxies matches no peer: the server listens only on a UNIX socket; name unix"
        if False in is_unix and self._trusted == {"unix"}:
            return (
                "--trusted-proxies unix matches no peer: the server listens on no UNIX socket; name networks"
            )
        return ""

    def _tell(self, context: Any, claims: Collection[str]) -> None:
        """Warn once that what seems to be the operator's own proxy is not believed: a peer with an address
        that strangers don't have. Otherwise redirects lead to http://, and all clients look like one,
        silently. A warning, since what is served is wrong then.
        """
        field = next((name for name, lower in _TELLING.items() if lower in claims), "")
        peer = _name_neighbour(context) if field else ""
        if peer:
            self._tells = False
            logger.warning(
                "%s sends %s but is not among --trusted-proxies%s: removed (logged once; docs/proxies.md)",
                peer,
                field,
                "" if peer != _ON_UNIX else " (unix)",
            )

    def _tell_unread(self, context: Any, claims: dict[str, str]) -> None:
        """Warn once that a trusted proxy names its client, but not in the field that is read, or not as it is
        read: otherwise all clients have the proxy's address, silently.
        """
        wanted = "forwarded" if self.headers == "forwarded" else "x-forwarded-for"
        if wanted not in (self._named or (wanted,)):
            return
        sent = wanted.title()
        if is_unreadable(wanted, claims.get(wanted, "")):
            what = "in which its client's address can't be read"
        else:
            what = f"which is not read, and no client's address in {sent}"
            sent = next((name for name, lower in _NAMING.items() if lower in claims and lower != wanted), "")
        if not sent:
            return
        self._tells_trusted = False
        logger.warning(
            "%s, a trusted proxy, sends %s, %s: the proxy's own is taken (logged once; docs/proxies.md)",
            _peer_of(context) or _ON_UNIX,
            sent,
            what,
        )

    def _tell_synonym(self, context: Any, claims: Collection[str]) -> None:
        """Warn once that a trusted proxy tells the scheme or the prefix only in a field that is not read, as
        set up for an app that reads it itself: without it, links lead elsewhere, silently.
        """
        for name, (wanted, instead) in _SYNONYMS.items():
            is_told = wanted in claims or (wanted == "x-forwarded-prefix" and self.root_path)
            if name in claims and not is_told:
                self._tells_synonyms = False
                logger.warning(
                    "%s, a trusted proxy, sends %s, or passes it on: removed, %s "
                    "(logged once; docs/proxies.md)",
                    _peer_of(context) or _ON_UNIX,
                    name.title(),
                    instead,
                )
                return

    def _is_trusted_peer(self, context: Any) -> bool:
        """Decide by the connection's own address: what `xheaders` makes of `remote_ip` is a claim, too."""
        peer = _peer_of(context)
        if peer:
            return self.is_trusted(peer)
        # A peer that reset its connection before it was accepted has no address either: the family
        # distinguishes it from a UNIX socket's.
        return getattr(context, "address_family", None) == _UNIX_FAMILY and self.is_trusted(_UNIX)


def check_headers(text: str) -> str:
    """Normalize a setting of which fields are believed: one of `FAMILIES`, or names from `X_FORWARDED`,
    separated by commas. Returned in lower case, without spaces. Raises ConfigurationError.
    """
    names = [name.strip() for name in text.lower().split(",")]
    if len(names) == 1 and names[0] in FAMILIES:
        return names[0]
    for name in names:
        if name not in X_FORWARDED:
            raise ConfigurationError(
                f"proxy headers: {name!r} can't stand here: write one of {', '.join(FAMILIES)}, "
                f"or some of {', '.join(X_FORWARDED)}"
            )
    return ",".join(names)


def check_root_path(text: str) -> str:
    """Normalize a root path written by hand. Raises ConfigurationError."""
    root_path = parse_root_path(text)
    if root_path is None:
        raise ConfigurationError(
            f"root path {text!r} is not a path like /board, of letters, digits and - . _ ~ @ : + , ="
        )
    return root_path


def verdict_of(connection: Any) -> Verdict | None:
    """The verdict on the request received on this `HTTPConnection`; None: everything is as received."""
    verdict: Verdict | None = getattr(connection, "verdict", None)
    return verdict


def judge_once(
    proxies: Proxies, connection: Any, start_line: RequestStartLine, headers: HTTPHeaders
) -> Verdict | None:
    """The verdict on a request whose head comes through Tornado's interface. Unless it was judged before,
    `headers` are changed, and the verdict is stored on the connection. None: everything is as received.
    """
    head = getattr(connection, "head", None)  # our own server has already looked
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
    """The peer of a connection from this machine or from a network that is not part of the internet; "": it
    comes from elsewhere.
    """
    peer = _peer_of(context)
    if peer:
        address = parse_address(peer)
        return "" if address is None or address.is_global else peer
    return _ON_UNIX if getattr(context, "address_family", None) == _UNIX_FAMILY else ""


def _peer_of(context: Any) -> str:
    """The connection's own address, whatever `xheaders` made of it; "": it has none."""
    address = getattr(context, "address", None)
    return str(address[0]) if isinstance(address, tuple) and address else ""


def _build_trust(networks: tuple[str, ...]) -> Trust:
    """Return a test for addresses in one of `networks`. Raises ConfigurationError: no network, or all."""
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
    """Undo what Tornado's `xheaders` has made of the fields, which are about to be judged."""
    restore = getattr(context, "_unapply_xheaders", None)
    if restore is not None:
        restore()


def _rewrite(connection: Any, client: Client) -> Any:
    """Return a copy of the connection's context that describes this client."""
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
    """Both ends of an `HTTPConnection` whose request is being served: the client, and where it connected.

    Kept on the connection's context, as long as that says the same about the client (`xheaders` changes it
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
    except (AttributeError, OSError, ValueError):  # it is closed: None, or what either event loop raises
        local = None
    if isinstance(local, tuple):
        return scheme, context.remote_ip, remote_port, str(local[0]), str(local[1])
    # A UNIX socket has neither name nor port.
    return scheme, context.remote_ip, remote_port, "localhost", "443" if scheme == "https" else "80"
