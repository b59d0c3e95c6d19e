"""An event, in the two forms in which readers are sent it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Self

from waterspout.native.live.cursor import Cursor, format_cursor


@dataclass(frozen=True, slots=True)
class Event:
    """`cursor`: the one that a reader has after it. `block`: its bytes in an event stream; `message`: the
    same in JSON, for those who read no event streams.
    """

    cursor: Cursor
    block: bytes
    message: str

    @classmethod
    def make(cls, name: str, cursor: Cursor, data: Any) -> Self:
        """Return the event in both forms; `data` is any JSON value, `name` a word of your own."""
        text = json.dumps(data)  # has no line break, and is never empty: such an event would not be delivered
        at = format_cursor(cursor)
        block = f"event: {name}\nid: {at}\ndata: {text}\n\n".encode()
        return cls(cursor, block, f'{{"event": "{name}", "cursor": "{at}", "data": {text}}}')

    @classmethod
    def reload(cls, cursor: Cursor) -> Self:
        """The event that tells a page to ask for everything again."""
        return cls.make("reload", cursor, {})
