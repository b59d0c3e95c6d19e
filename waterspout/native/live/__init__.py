"""Keeping open pages up to date: one watch, and three ways to follow it.

    waterspout.publish(topic, ...) ── wake-up ──┐
                                              Watch ── Follower ── StreamHandler (SSE), SocketHandler,
    Source: newest cursor, event since ... ─────┘                  PollHandler

A `Source` identifies the newest state by a cursor, and makes the event that brings a reader from an older
cursor to it. What is published is only a wake-up: each reader is brought from its own cursor to the newest
state, so a lost message loses nothing. Each event is made once, however many wait for it.

    watch.py                             Watch and Follower
    cursor.py, event.py                  what a reader knows, and what it is sent
    following.py                         what the three handlers have in common:
    stream.py, poll.py, websocket.py     StreamHandler, PollHandler, SocketHandler
"""

from __future__ import annotations

from waterspout.native.live.cursor import NOTHING, Cursor, format_cursor, parse_cursor
from waterspout.native.live.event import Event
from waterspout.native.live.poll import PollHandler
from waterspout.native.live.stream import StreamHandler
from waterspout.native.live.watch import Follower, Source, TooManyFollowers, Watch
from waterspout.native.live.websocket import SocketHandler

__all__ = [
    "NOTHING",
    "Cursor",
    "Event",
    "Follower",
    "PollHandler",
    "SocketHandler",
    "Source",
    "StreamHandler",
    "TooManyFollowers",
    "Watch",
    "format_cursor",
    "parse_cursor",
]
