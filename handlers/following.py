"""What the handlers have in common whose clients wait for news."""

from collections.abc import Iterator
from contextlib import contextmanager

from tornado.web import HTTPError

from handlers.base import BoardHandler
from handlers.version import Version, parse_version
from handlers.watch import Follower, TooManyFollowers

# Seconds between signs of life, for both ends to notice when the other is gone; proxies cut after 60.
HEARTBEAT = 15.0


class FollowingHandler(BoardHandler):
    """(Setting: `heartbeat`, in seconds.)"""

    follower: Follower | None = None

    def initialize(self) -> None:
        self.heartbeat: float = self.settings.get("heartbeat", HEARTBEAT)

    def cursor(self, last_event_id: str | None = None) -> Version | None:
        """The version that the client says it knows; None, if it says none."""
        return parse_version(last_event_id or self.get_query_argument("since", ""))

    @contextmanager
    def follow(self, patience: float) -> Iterator[Follower]:
        """A follower that leaves when the client goes; raises HTTPError when there are too many (503)."""
        try:
            with self.watch.follow(patience) as self.follower:
                yield self.follower
        except TooManyFollowers:
            raise HTTPError(503) from None

    def on_connection_close(self) -> None:
        if self.follower is not None:
            self.follower.leave()
