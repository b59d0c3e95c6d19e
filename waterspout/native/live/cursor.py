"""Cursors, such as `12.40.3`: what state a reader already has."""

from __future__ import annotations

import re

# Counters that only grow, compared as a tuple. A reader that has only the first number (`12`) gets the rest
# with the next event.
Cursor = tuple[int, ...]

# Older than any other.
NOTHING: Cursor = (0,)

_PATTERN = re.compile(r"[0-9]{1,10}(\.[0-9]{1,10}){0,3}")


def parse_cursor(text: str) -> Cursor | None:
    """Return the cursor, of one to four numbers; None if the text is not one."""
    if not _PATTERN.fullmatch(text):
        return None
    return tuple(int(number) for number in text.split("."))


def format_cursor(cursor: Cursor) -> str:
    return ".".join(map(str, cursor))
