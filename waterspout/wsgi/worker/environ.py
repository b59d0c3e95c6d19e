"""Turns a request head into a PEP 3333 environ. Pure; runs on the lane worker's side, off the event loop."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import IO, Any, Final

from waterspout.message.origin import SERVER
from waterspout.message.target import decode_path_info, split_target
from waterspout.wsgi.frames import RequestHead

Environ = dict[str, Any]

#: Never passed on: `Proxy` becomes HTTP_PROXY, which many clients take for their configuration
#: (CVE-2016-5385); the others are about the connection, which ends at the server.
_DROPPED: Final = frozenset({"proxy", "transfer-encoding", "content-length", "content-type"})


def _find_key(name: str) -> str:
    """The environ's key for a header; "" for one that the app never sees.

    With underscores, `X_Forwarded_For` would be indistinguishable from `X-Forwarded-For` in environ.
    """
    lower = name.lower()
    if "_" in lower or lower in _DROPPED:
        return "CONTENT_TYPE" if lower == "content-type" else ""
    return "HTTP_" + lower.upper().replace("-", "_")


#: Clients use few different names, in few spellings.
_find_known_key: Final = lru_cache(maxsize=2048)(_find_key)


def add_headers(environ: Environ, head: RequestHead) -> None:
    """HTTP_* and CONTENT_TYPE. Repeated lines are joined: cookies with `; ` (RFC 6265), the rest with `,`."""
    repeated: dict[str, list[str]] = {}
    for name, value in head.headers:
        key = _find_known_key(name) if len(name) <= 64 else _find_key(name)
        if not key.startswith("HTTP_"):
            if key:
                environ[key] = value
        elif key in environ:
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
    """The environ of PEP 3333, plus the keys that servers have agreed on besides.

    `RAW_URI` (gunicorn) and `REQUEST_URI` (mod_wsgi) hold the whole target undecoded, including SCRIPT_NAME:
    `%2F` is lost in PATH_INFO. `waterspout.forwarded` is set when the peer spoke for another client and was
    not trusted.
    `wsgi.input_terminated`: reading to the end of `wsgi.input` is safe; chunked, there is no CONTENT_LENGTH.
    """
    authority, path, query = split_target(head.target)
    environ: Environ = {
        "REQUEST_METHOD": head.method,
        "SCRIPT_NAME": head.root_path,
        "PATH_INFO": decode_path_info(path[len(head.root_path) :]),
        "QUERY_STRING": query,
        "RAW_URI": head.target,
        "REQUEST_URI": head.target,
        "SERVER_PROTOCOL": head.version,
        "SERVER_SOFTWARE": SERVER,
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
    if head.disbelieved:
        environ["waterspout.forwarded"] = True
    if head.content_length:
        environ["CONTENT_LENGTH"] = head.content_length
    if authority:
        # RFC 9112 section 3.2.2: the authority of an absolute target overrides Host.
        environ["HTTP_HOST"] = authority
    environ["HTTP_X_REQUEST_ID"] = head.request_id
    return environ
