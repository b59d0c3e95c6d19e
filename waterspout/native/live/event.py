"""An event, in the two forms in which it is sent to readers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Self

from waterspout.native.live.cursor import Cursor, format_cursor


@dataclass(frozen=True, slots=True)
class Event:
    """`cursor`: the reader's cursor after it. `block`: its bytes in an event stream; `message`: the same in
    JSON, for clients that don't read event streams.
    """

    cursor: Cursor
    block: bytes
    message: str

    @classmethod
    def make(cls, name: str, cursor: Cursor, data: Any) -> Self:
        """Return the event in both forms; `data` is any JSON value, `name` a word of your choice."""
        text = json.dumps(data)  # no line breaks, and never empty: browsers drop events without data
        at = format_cursor(cursor)
        block = f"event: {name}\nid: {at}\ndata: {text}\n\n".encode()
        return cls(cursor, block, f'{{"event": "{name}", "cursor": "{at}", "data": {text}}}')

    @classmethod
    def reload(cls, cursor: Cursor) -> Self:
        """The event that tells a page to ask for everything again."""
        return cls.make("reload", cursor, {})
