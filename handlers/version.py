"""Versions of the board, and the cursors that tell them to readers: `12.40.3`."""

import re

# The newest update's id, then two counters of everything else that changes; each only grows. Whoever knows
# but the first number (`12`) is told the rest with the next event.
Version = tuple[int, ...]

# Older than any.
NOTHING: Version = (0,)

# What the store counts; a fourth number, the day, is left out: it begins again each year.
NUMBERS = 3

PATTERN = re.compile(r"[0-9]{1,10}(\.[0-9]{1,10}){0,3}")


def parse_version(text: str) -> Version | None:
    """Return the version that a cursor tells; None for what is no cursor."""
    if not PATTERN.fullmatch(text):
        return None
    return tuple(int(number) for number in text.split(".")[:NUMBERS])


def format_version(version: Version) -> str:
    return ".".join(map(str, version))
