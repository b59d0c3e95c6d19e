"""What the handlers of streams, long-polls and WebSockets have in common."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tornado.web import HTTPError
from tornado.web import RequestHandler as TornadoRequestHandler

from waterspout.exceptions import ConfigurationError
from waterspout.limits import HEARTBEAT
from waterspout.native.json_handler import JSONHandler
from waterspout.native.live.cursor import Cursor, parse_cursor
from waterspout.native.live.watch import Follower, TooManyFollowers, Watch


class Following(TornadoRequestHandler):
    """Application settings: `watch`; `heartbeat`, in seconds, 0: none."""

    follower: Follower | None = None

    @property
    def watch(self) -> Watch:
        """What is followed. Override it if an application watches more than one source.

        Raises ConfigurationError: the setting is missing.
        """
        watch: Watch | None = self.settings.get("watch")
        if watch is None:
            raise ConfigurationError(
                "a live handler needs the setting watch=waterspout.native.live.Watch(...), or its own watch"
            )
        return watch

    @property
    def heartbeat(self) -> float | None:
        """Seconds between heartbeats; None: there are none."""
        heartbeat: float = self.settings.get("heartbeat", HEARTBEAT) or 0.0
        return heartbeat if heartbeat > 0 else None

    def cursor(self, last_event_id: str | None = None) -> Cursor | None:
        """The cursor that the client sent; None if it sent none, or not a valid one. Raises HTTPError (400)
        where Tornado does for an argument.
        """
        return parse_cursor(last_event_id or self.get_query_argument("since", ""))


class FollowingHandler(Following, JSONHandler):
    """A follower over plain HTTP."""

    _has_left = False

    @contextmanager
    def follow(self, patience: float | None) -> Iterator[Follower]:
        """A follower that leaves when the client goes; raises HTTPError when there are too many (503)."""
        try:
            with self.watch.follow(patience) as self.follower:
                if self._has_left:  # while `prepare` was at work
                    self.follower.leave()
                yield self.follower
        except TooManyFollowers:
            raise HTTPError(503) from None

    def on_connection_close(self) -> None:
        self._has_left = True
        if self.follower is not None:
            self.follower.leave()
