"""The target of a request (RFC 9112 section 3.2): which part is the path, and how paths are read. Pure."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes


def split_target(target: str) -> tuple[str, str, str]:
    """Return a target as (authority, path, query), nothing decoded or collapsed (RFC 9112 section 3.2).

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


def decode_path_info(path: str) -> str:
    """PATH_INFO of a target's path: decoded once, nothing collapsed; bytes as latin-1 (PEP 3333)."""
    return unquote_to_bytes(path.encode("latin-1")).decode("latin-1") if "%" in path else path


def join_slashes(path: str) -> str:
    """`path` as Werkzeug matches it: leading slashes count as one. Code that decides by a path before a Flask
    app sees it has to read it like this, or `//admin` bypasses `/admin`.
    """
    return "/" + path.lstrip("/") if path.startswith("//") else path
