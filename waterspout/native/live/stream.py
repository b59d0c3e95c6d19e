"""Server-sent events (WHATWG HTML, section 9.2) for an open page.

    event: <name>    what the source made
    event: reload    {}: request the page again
    event: beat      {}: first, and when nothing else was sent for `heartbeat` seconds (a setting; 15), so
                     that each end notices when the other has gone

An event's id is a cursor. A reader that reconnects sends it (`Last-Event-ID`; a page that has just been
loaded, `?since=`) and first gets what it has missed.
"""

from __future__ import annotations

import random

from tornado.iostream import StreamClosedError

from waterspout.native.live.following import FollowingHandler

# Without an id, so that the browser keeps the last one; with data, or the page would not get it.
BEAT = b"event: beat\ndata: {}\n\n"

# A browser that has lost the stream reconnects after this long, not all at the same moment (milliseconds).
RETRY = range(1000, 3000)


class StreamHandler(FollowingHandler):
    """One open page, until the client goes or the server drains."""

    def set_default_headers(self) -> None:
        super().set_default_headers()
        self.set_header("X-Accel-Buffering", "no")  # else nginx would buffer

    async def get(self) -> None:
        with self.follow(self.heartbeat) as follower:
            # Before the first bytes: a reader without a cursor gets everything posted after them.
            await follower.begin(self.cursor(self.request.headers.get("Last-Event-ID")))
            self.set_header("Content-Type", "text/event-stream; charset=utf-8")
            try:
                await self.send(f"retry: {random.choice(RETRY)}\n".encode() + BEAT)
                async for event in follower:
                    await self.send(event.block if event else BEAT)
            except StreamClosedError:
                pass  # the client went while it was being written to

    async def send(self, data: bytes) -> None:
        """Return when there is room for more: a slow client holds up only itself."""
        self.write(data)
        await self.flush()
