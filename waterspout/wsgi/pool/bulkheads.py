"""Which pool a path belongs to: rules, and how they are written. Pure.

A rule is (pattern, name of a pool); the first match decides, and a path that no rule matches goes to `MAIN`.
A pattern is either a path, which stands for itself and everything below it (`/export`: also `/export/2026`,
not `/exports`), or contains `*`s, each of which matches anything, including slashes; it must then match the
whole path (`/reports/*`, `/*/export`).

Patterns are matched against PATH_INFO, decoded once: `/%65xport` is `/export` here as it is for the app.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from typing import Final, NamedTuple

from waterspout.exceptions import ConfigurationError
from waterspout.limits import POOL_NAME
from waterspout.message.target import decode_path_info, join_slashes, split_target

#: The pool of everything that no rule sends elsewhere.
MAIN: Final = "main"
_NAME: Final = re.compile(rf"[A-Za-z0-9_-]{{1,{POOL_NAME}}}")
_SIZE: Final = re.compile(r"([0-9]{1,4})x([0-9]{1,4})")
_SHAPE: Final = "NAME:PATHS:WORKERSxTHREADS, like reports:/reports/*,/export:1x4"

Rule = tuple[str, str]


class NamedPool(NamedTuple):
    """A pool as given on the command line."""

    name: str
    paths: tuple[str, ...]
    workers: int
    threads: int


def parse_pool(text: str) -> NamedPool:
    """`reports:/reports/*,/export:1x4`. Raises ConfigurationError."""
    name, colon, rest = text.strip().partition(":")
    paths, second_colon, size = rest.rpartition(":")
    if not colon or not second_colon:
        raise ConfigurationError(f"{text!r} is not {_SHAPE}")
    match = _SIZE.fullmatch(size.strip())
    if match is None:
        raise ConfigurationError(
            f"{text!r} ends in {size!r}, not in WORKERSxTHREADS like 1x4 (0x4: threads of the server itself)"
        )
    if int(match[2]) < 1:
        raise ConfigurationError(f"{text!r}: a pool needs at least one thread")
    check_name(name)
    patterns = tuple(pattern.strip() for pattern in paths.split(","))
    for pattern in patterns:
        compile_pattern(pattern)
    return NamedPool(name, patterns, int(match[1]), int(match[2]))


def check_name(name: str) -> None:
    """Raises ConfigurationError: not a valid pool name."""
    if name == MAIN:
        raise ConfigurationError(f"{MAIN!r} is the pool of all other paths: choose another name")
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"{name!r} is not a pool name: use up to {POOL_NAME} letters, digits, dashes and underscores"
        )


class PoolRules:
    """Finds the pool of a request target. `names`: the pools that exist besides `MAIN`.

    Raises ConfigurationError: an invalid pattern, a rule for a pool that doesn't exist, or a pool that no
    rule leads to.
    """

    def __init__(self, rules: Iterable[Rule], names: Collection[str]) -> None:
        self._rules = [(compile_pattern(pattern), name) for pattern, name in _check_rules(rules)]
        led_to = {name for _, name in self._rules}
        for name in sorted(led_to - {MAIN, *names}):
            known = ", ".join(sorted(names)) or "only main"
            raise ConfigurationError(
                f"a rule sends requests to pool {name!r}, which does not exist (known: {known})"
            )
        for name in sorted(set(names) - led_to):
            raise ConfigurationError(f"no rule sends requests to pool {name!r}: give the paths it is for")

    def find(self, target: str) -> str:
        """The name of the pool that a request with this target (as on the request line) belongs to."""
        path = join_slashes(decode_path_info(split_target(target)[1]))
        for matches, name in self._rules:
            if matches(path):
                return name
        return MAIN


def _check_rules(rules: Iterable[Rule]) -> list[Rule]:
    checked = []
    for rule in rules:
        if not isinstance(rule, (tuple, list)) or len(rule) != 2:
            raise ConfigurationError(f"a rule is (pattern, name of a pool), not {rule!r}")
        checked.append((rule[0], rule[1]))
    return checked


def compile_pattern(pattern: str) -> Callable[[str], bool]:
    """A function that tells whether a PATH_INFO matches. Raises ConfigurationError."""
    fault = _find_fault(pattern)
    if fault:
        raise ConfigurationError(f"{pattern!r} is not a path pattern: {fault}")
    # PEP 3333: the bytes of a path, each as one character.
    wire = pattern.encode().decode("latin-1")
    if "*" in wire:
        first, *middle, last = wire.split("*")
        return lambda path: _matches(path, first, middle, last)
    below = wire if wire.endswith("/") else wire + "/"
    return lambda path: path == wire or path.startswith(below)


def _find_fault(pattern: object) -> str:
    if not isinstance(pattern, str) or not pattern.startswith("/"):
        return "it must begin with /"
    if "%" in pattern:
        return "write it decoded, without %"
    if "?" in pattern or "#" in pattern:
        return "it can't match a query"
    if not pattern.isprintable() or "," in pattern:
        return "it contains a comma or a non-printable character"
    return ""


def _matches(path: str, first: str, middle: list[str], last: str) -> bool:
    """Search for each piece once, from left to right, so that no pattern makes matching expensive."""
    if len(path) < len(first) + len(last) or not path.startswith(first) or not path.endswith(last):
        return False
    position, end = len(first), len(path) - len(last)
    for piece in middle:
        found = path.find(piece, position, end)
        if found < 0:
            return False
        position = found + len(piece)
    return True
