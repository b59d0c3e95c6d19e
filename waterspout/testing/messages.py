"""Collects what code under test publishes."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

from waterspout.hub.outbox import witnessed


@contextlib.contextmanager
def published() -> Iterator[list[tuple[str, Any]]]:
    """A list of (topic, message) that grows with each `publish` in this process, in any thread of it.

    No server is needed, and `publish` raises no NotServing meanwhile; if one runs, subscribers get the
    messages as usual. They are checked as in production, and are what a subscriber would read: JSON values. A
    WSGI process publishes elsewhere, which is not seen here: serve with `wsgi_workers=0`, or subscribe.
    """
    messages: list[tuple[str, Any]] = []
    with witnessed(lambda topic, data: messages.append((topic, json.loads(data)))):
        yield messages
