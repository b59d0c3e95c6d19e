"""Decodes the path of a request target as a WSGI app does, and tells which patterns are Flask's. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from waterspout.exceptions import ConfigurationError
from waterspout.message.target import decode_path_info

#: What a path may hold unescaped (RFC 3986 section 3.3), besides letters, digits and `-._~`.
PLAIN: Final = "/:@!$&'()*+,;="
_CONVERTER: Final = re.compile(r"<[^<>]+>")
#: None of these are regular expressions: there a brace holds numbers, or a name after `\\N`. The last one is
#: Flask's own notation without its `<`.
_FOREIGN: Final = re.compile(r"/:[A-Za-z_]|(?<!\\)(?<!\\N)\{[A-Za-z_]|/(?:\w+:)?[A-Za-z_]\w*>")
#: A character set of a regular expression.
_SET: Final = re.compile(r"\[\^?\]?[^\]]*\]")
_ESCAPE: Final = re.compile("%[0-9A-Fa-f]{2}")
_REGEX_SIGNS: Final = frozenset("\\^$|?*+()[]{}")


def decode_path(path: str) -> str:
    """Decode `path`, as it is on the wire (bytes as latin-1), as Werkzeug reads it from PATH_INFO: once, as
    UTF-8, with invalid bytes replaced; nothing is collapsed.
    """
    if "%" not in path and path.isascii():
        return path
    return decode_path_info(path).encode("latin-1").decode("utf-8", "replace")


def spell_plain(path: str) -> str | None:
    """`path`, as it is on the wire, in the one spelling that regular expressions are matched against: no
    needless escapes, and the others in their usual form. So no client gets around a rule with another
    spelling, nor misses it because of its library's spelling: `/%61%40` is `/a@`, `/%c3%a9` is `/%C3%A9`.

    None: no expression is tried. To a WSGI app an escaped slash is a slash, and what isn't UTF-8 is replaced.
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
    """Whether `pattern` is written Flask's way: a literal path, or one with `<converter:name>` in it. A
    literal path with an escape (`/a%20b`) is Tornado's, which matches the path as it is on the wire.

    Raises ConfigurationError: it mixes that with a regular expression, or lacks its leading slash.
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
    if is_regex and len(rest) < len(pattern) and pattern[:1] != "/" and is_literal(rest):
        raise ConfigurationError(f"the rule {pattern!r} does not begin with a slash: write {'/' + pattern!r}")
    if is_regex and len(rest) < len(pattern):
        raise ConfigurationError(
            f"the rule {pattern!r} mixes <converters> with a regular expression: use one or the other"
        )
    return not is_regex


def find_slip(path: str, converters: Collection[str]) -> str:
    """What was probably meant by a path in Flask's notation that Werkzeug can't read, to append to its error;
    "": unknown. `converters`: the names of those that exist.
    """
    if not {"<", ">"}.isdisjoint(_CONVERTER.sub("", path)):
        return "; each < needs a >"
    for argument in _CONVERTER.findall(path):
        written, colon, name = (part.strip() for part in argument[1:-1].rpartition(":"))
        converter = written.partition("(")[0].rstrip()
        if not name.isidentifier():
            return f"; a variable part is written <name> or <int:name>, and {name!r} is not a name"
        if not colon or converter in converters:
            continue
        if name in converters:
            return f"; did you mean <{name}:{converter}>?"
        near = difflib.get_close_matches(converter, converters, n=1)
        if near:
            return f"; did you mean <{near[0]}:{name}>?"
        known = ", ".join(sorted(set(converters) - {"default"}))
        return f"; the converters are {known}, and those in the setting url_converters"
    return ""


def is_foreign(path: str) -> bool:
    """Whether variable parts seem to be written in another framework's notation, or incompletely in Flask's:
    `/{id}`, `/:id`, `/int:id>`.
    """
    return _FOREIGN.search(_SET.sub(".", path)) is not None


def is_literal(path: str) -> bool:
    """Whether it has no special characters of a regular expression, except for dots."""
    return _REGEX_SIGNS.isdisjoint(path)
