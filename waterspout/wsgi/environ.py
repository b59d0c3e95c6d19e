"""A request head becomes a PEP 3333 environ. Pure; runs on the lane worker's side, off the event loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import IO, Any, Final
from urllib.parse import unquote_to_bytes

from waterspout.wsgi.frames import RequestHead

Environ = dict[str, Any]

#: Never passed on: `Proxy` becomes HTTP_PROXY, which many clients take for their configuration
#: (CVE-2016-5385); the others speak of the connection, which ends at the server.
_DROPPED: Final = frozenset({"proxy", "transfer-encoding", "content-length", "content-type"})
#: Claims about who the client is. Only a trusted proxy may make them.
_FORWARDED: Final = frozenset({"forwarded", "x-real-ip", "x-scheme", "x-client-ip"})
_FORWARDED_PREFIX: Final = "x-forwarded-"


def split_target(target: str) -> tuple[str, str, str]:
    """A request target as (authority, path, query), nothing decoded or collapsed (RFC 9112 section 3.2).

    The authority is "" except in absolute form (`http://host/path`).
    """
    authority = ""
    rest = target
    if target[:1] not in ("/", "*") and "://" in target:
        _scheme, _, rest = target.partition("://")
        end = min((rest.find(mark) for mark in "/?" if mark in rest), default=len(rest))
        # RFC 9110 section 4.2.4: userinfo is not part of the host, and never passed on.
        authority, rest = rest[:end].rpartition("@")[2], rest[end:]
        if not rest.startswith("/"):
            rest = "/" + rest
    path, _, query = rest.partition("?")
    return authority, path, query


def _may_pass(name: str, trusted: bool) -> bool:
    """Whether the app may see a header of this (lower-case) name.

    An underscore would make `X_Forwarded_For` indistinguishable from `X-Forwarded-For` in environ.
    """
    if "_" in name or name in _DROPPED:
        return False
    return trusted or not is_forwarded(name)


def is_forwarded(name: str) -> bool:
    """Whether a (lower-case) header says who the client behind a proxy is."""
    return name in _FORWARDED or name.startswith(_FORWARDED_PREFIX)


def add_headers(environ: Environ, head: RequestHead) -> None:
    """HTTP_* and CONTENT_TYPE. Repeated lines are joined: cookies with `; ` (RFC 6265), the rest with `,`."""
    repeated: dict[str, list[str]] = {}
    for name, value in head.headers:
        lower = name.lower()
        if not _may_pass(lower, head.trusted):
            if lower == "content-type":
                environ["CONTENT_TYPE"] = value
            elif is_forwarded(lower):
                environ["waterspout.forwarded"] = True
            continue
        key = "HTTP_" + lower.upper().replace("-", "_")
        if key in environ:
            repeated.setdefault(key, [environ[key]]).append(value)
        else:
            environ[key] = value
    for key, values in repeated.items():
        environ[key] = ("; " if key == "HTTP_COOKIE" else ",").join(values)


def build_environ(
    head: RequestHead,
    body: Any,
    errors: IO[str],
    *,
    multithread: bool,
    multiprocess: bool,
    file_wrapper: Callable[..., Any],
) -> Environ:
    """The environ of PEP 3333, with the keys that servers have agreed on beside it.

    `RAW_URI` (gunicorn) and `REQUEST_URI` (mod_wsgi) hold the target as it came: `%2F` is lost in PATH_INFO.
    `waterspout.forwarded` is there when the peer spoke for another client and was not believed.
    `wsgi.input_terminated`: reading to the end of `wsgi.input` is safe; chunked, there is no CONTENT_LENGTH.
    """
    authority, path, query = split_target(head.target)
    environ: Environ = {
        "REQUEST_METHOD": head.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path.encode("latin-1")).decode("latin-1") if "%" in path else path,
        "QUERY_STRING": query,
        "RAW_URI": head.target,
        "REQUEST_URI": head.target,
        "SERVER_PROTOCOL": head.version,
        "SERVER_NAME": head.server_name,
        "SERVER_PORT": head.server_port,
        "REMOTE_ADDR": head.remote_addr,
        "REMOTE_PORT": head.remote_port,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": head.scheme,
        "wsgi.input": body,
        "wsgi.input_terminated": True,
        "wsgi.errors": errors,
        "wsgi.multithread": multithread,
        "wsgi.multiprocess": multiprocess,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": file_wrapper,
    }
    add_headers(environ, head)
    if head.content_length:
        environ["CONTENT_LENGTH"] = head.content_length
    if authority:
        # RFC 9112 section 3.2.2: the authority of an absolute target overrides Host.
        environ["HTTP_HOST"] = authority
    environ["HTTP_X_REQUEST_ID"] = head.request_id
    return environ
