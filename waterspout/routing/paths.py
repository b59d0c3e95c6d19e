"""The path of a request target, decoded as a WSGI app decodes it; and which patterns are Flask's. Pure."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from waterspout.exceptions import ConfigurationError
from waterspout.message.target import decode_path_info

#: What a path may hold as it is (RFC 3986 section 3.3), beside letters, digits and `-._~`.
PLAIN: Final = "/:@!$&'()*+,;="
_CONVERTER: Final = re.compile(r"<[^<>]+>")
_ESCAPE: Final = re.compile("%[0-9A-Fa-f]{2}")
_REGEX_SIGNS: Final = frozenset("\\^$|?*+()[]{}")


def decode_path(path: str) -> str:
    """`path`, as it is on the wire (bytes as latin-1), as Werkzeug reads it from PATH_INFO: decoded once,
    UTF-8, what isn't replaced; nothing collapsed.
    """
    if "%" not in path and path.isascii():
        return path
    return decode_path_info(path).encode("latin-1").decode("utf-8", "replace")


def spell_plain(path: str) -> str | None:
    """`path`, as it is on the wire, in the one spelling that a regular expression is asked about: what needs
    no escape has none, and others are written in the usual way. So nobody goes round a rule by another
    spelling, nor misses it by that of his own library: `/%61%40` is `/a@`, `/%c3%a9` is `/%C3%A9`.

    None: no expression is asked. To a WSGI app an escaped slash is one, and what isn't UTF-8 is replaced.
    """
    if "%" not in path and path.isascii():
        return path
    if "%2f" in path.lower():
        return None
    try:
        return quote(unquote_to_bytes(path.encode("latin-1")).decode(), safe=PLAIN)
    except UnicodeError:
        return None


def is_flask_style(pattern: str) -> bool:
    """Whether `pattern` is written Flask's way: a literal path, or one with `<converter:name>` in it. One
    with an escape (`/a%20b`) is Tornado's, which asks about the path as it is on the wire.

    Raises ConfigurationError: it is half that, half a regular expression.
    """
    if "(?" in pattern:
        return False
    rest = _CONVERTER.sub("", pattern)
    is_regex = (
        not _REGEX_SIGNS.isdisjoint(rest)
        or pattern[:1] != "/"
        or pattern[:2] == "//"
        or (rest == pattern and _ESCAPE.search(pattern) is not None)
    )
    if is_regex and len(rest) < len(pattern):
        raise ConfigurationError(
            f"the rule {pattern!r} mixes <converters> with a regular expression: write it in one of the ways"
        )
    return not is_regex


def is_literal(path: str) -> bool:
    """Whether nothing in it is a sign of a regular expression, but for a dot."""
    return _REGEX_SIGNS.isdisjoint(path)
