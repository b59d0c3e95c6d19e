"""The two ends of a client's connection, as the app is told of them."""

from __future__ import annotations

from typing import Any

#: wsgi.url_scheme, REMOTE_ADDR, REMOTE_PORT, SERVER_NAME, SERVER_PORT.
Ends = tuple[str, str, str, str, str]


def find_ends(connection: Any) -> Ends:
    """Who the client is and where it came in: of an `HTTPConnection` whose request is being served.

    Kept on the connection's context, for as long as that says the same of the client (`xheaders` changes it
    for one request): a system call and some formatting less for each request.
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
