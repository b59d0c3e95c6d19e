"""`/api/poll?since=<cursor>`: the events of the stream, for those whom no stream reaches.

    {"cursor": "12.40.3", "events": [{"event": "changes", "cursor": "12.40.3", "data": {...}}]}

Answers at once when there is something newer than the cursor; else waits for it, and in the end gives an
empty list. The next request takes the reply's cursor along. Without a cursor: the newest one, at once.
(`&wait=0`: at once in any case.)
"""

from handlers.following import FollowingHandler
from handlers.version import Version, format_version

# Proxies and browsers commonly give up after 30 or 60 seconds without a byte.
PATIENCE = 25.0


class PollHandler(FollowingHandler):
    """(Setting: `patience`, in seconds.)"""

    async def get(self) -> None:
        since = self.cursor()
        if since is not None and since < self.watch.newest:
            # Needs no place among those who wait: even when there is none left, nobody misses an update.
            event = await self.watch.feed.event(since, self.watch.newest)
            self.send(event.version, event.message)
        else:
            await self.wait_for_news(since)

    async def wait_for_news(self, since: Version | None) -> None:
        waits = since is not None and self.get_query_argument("wait", "") != "0"
        with self.follow(self.settings.get("patience", PATIENCE) if waits else 0) as follower:
            await follower.begin(since)
            async for event in follower:
                self.send(follower.cursor, event.message if event else "")
                return
            self.send(follower.cursor)  # the server drains

    def send(self, cursor: Version, messages: str = "") -> None:
        self.write(f'{{"cursor": "{format_version(cursor)}", "events": [{messages}]}}')
