"""Cursors: how a reader says what it knows, such as `12.40.3`."""

from __future__ import annotations

import re

# Some counters, each of which only grows: compared as tuples are. Whoever knows but the first number (`12`)
# is told the rest with the next event.
Cursor = tuple[int, ...]

# Older than any.
NOTHING: Cursor = (0,)

_PATTERN = re.compile(r"[0-9]{1,10}(\.[0-9]{1,10}){0,3}")


def parse_cursor(text: str) -> Cursor | None:
    """Return the cursor, of one to four numbers; None for what is none."""
    if not _PATTERN.fullmatch(text):
        return None
    return tuple(int(number) for number in text.split("."))


def format_cursor(cursor: Cursor) -> str:
    return ".".join(map(str, cursor))
