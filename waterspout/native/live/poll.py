"""Long-poll: the events of the stream, for clients that streams don't reach. `GET ...?since=<cursor>`:

    {"cursor": "12.40.3", "events": [{"event": "changes", "cursor": "12.40.3", "data": {...}}]}

Answers at once if there is something newer than the cursor; otherwise waits for it, and in the end sends an
empty list. The next request passes the reply's cursor. Without a cursor: the newest one, at once.
(`&wait=0`: at once in any case.)
"""

from __future__ import annotations

from waterspout.limits import POLL_PATIENCE
from waterspout.native.live.cursor import Cursor, format_cursor
from waterspout.native.live.following import FollowingHandler


class PollHandler(FollowingHandler):
    """(Setting: `patience`, in seconds.)"""

    async def get(self) -> None:
        since = self.cursor()
        if since is not None and since < self.watch.newest:
            # Doesn't count as a follower: even when there are too many, no client misses an update.
            event = await self.watch.event(since)
            self.send(event.cursor, event.message)
        else:
            await self.wait_for_news(since)

    async def wait_for_news(self, since: Cursor | None) -> None:
        waits = since is not None and self.get_query_argument("wait", "") != "0"
        with self.follow(self.settings.get("patience", POLL_PATIENCE) if waits else 0) as follower:
            await follower.begin(since)
            async for event in follower:
                self.send(follower.cursor, event.message if event else "")
                return
            self.send(follower.cursor)  # the server drains

    def send(self, cursor: Cursor, messages: str = "") -> None:
        self.write(f'{{"cursor": "{format_cursor(cursor)}", "events": [{messages}]}}')
