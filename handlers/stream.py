"""`/api/stream`: server-sent events that keep an open page up to date.

    event: changes   {"incidents": [{"id", "open", "html"}, ...], "summary": html}
    event: reload    {}: too much has happened to be listed; ask for the page again
    : a comment      every 15 seconds, so that both ends notice when the other is gone

An event's id is a cursor: the newest update's id that the reader knows from then on. A reader that comes back
sends it (`Last-Event-ID`; a page that has just been loaded, `?since=`) and first gets what it has missed.
"""

import asyncio
import random
import re

from tornado.iostream import StreamClosedError

import waterspout
from app.store import TOPIC
from handlers.base import BoardHandler
from handlers.feed import Event, Feed, reload_event

HEARTBEAT = 15.0
HEARTBEAT_COMMENT = b": still here\n\n"

# A browser that has lost the stream comes back after this many milliseconds: not all in the same one.
RETRY = range(1000, 3000)


class StreamHandler(BoardHandler):
    """One open page, until the client goes or the server drains. (Setting: `heartbeat`, in seconds.)"""

    def initialize(self) -> None:
        self.feed: Feed = self.settings["feed"]
        self.heartbeat: float = self.settings.get("heartbeat", HEARTBEAT)

    def set_default_headers(self) -> None:
        super().set_default_headers()
        self.set_header("X-Accel-Buffering", "no")  # nginx would wait for more

    def prepare(self) -> None:
        # Before anything is read: what is posted from now on is either found by that reading or announced.
        self.subscription = waterspout.subscribe(TOPIC)

    def on_connection_close(self) -> None:
        self.subscription.close()

    async def get(self) -> None:
        try:
            # Before the first bytes: a reader without a cursor gets all that is posted after them.
            newest = await self.store.cursor()
            self.set_header("Content-Type", "text/event-stream; charset=utf-8")
            await self.send(f"retry: {random.choice(RETRY)}\n\n".encode())
            await self.follow(await self.catch_up(newest))
        except StreamClosedError:
            pass  # the client went while it was being written to
        finally:
            self.subscription.close()

    async def catch_up(self, newest: int) -> int:
        """Send what the reader has missed up to the newest update. Return its cursor."""
        known = self.request.headers.get("Last-Event-ID") or self.get_argument("since", "")
        cursor = parse_cursor(known, newest)
        if cursor > newest:  # a page of another database
            return await self.send_event(reload_event(newest))
        return await self.bring_to(newest, cursor)

    async def follow(self, cursor: int) -> None:
        """Send each update as it is announced, until the subscription ends."""
        while True:
            try:
                async with asyncio.timeout(self.heartbeat):
                    message = await anext(self.subscription)
            except TimeoutError:
                await self.send(HEARTBEAT_COMMENT)
            except StopAsyncIteration:
                return
            else:
                cursor = await self.bring_to(message["update"], cursor)

    async def bring_to(self, announced: int, cursor: int) -> int:
        """Bring the reader from its cursor to the announced update. Return its new cursor."""
        if self.subscription.missed:
            return await self.send_event(reload_event(max(announced, cursor)))
        if announced <= cursor:
            return cursor
        return await self.send_event(await self.feed.event(cursor, announced))

    async def send_event(self, event: Event) -> int:
        await self.send(event.data)
        return event.cursor

    async def send(self, data: bytes) -> None:
        """Return when the kernel has it all: a slow client makes its own subscription wait, nobody else."""
        self.write(data)
        await self.flush()


def parse_cursor(text: str, default: int) -> int:
    """Return the id of an update; the default for anything else."""
    return int(text) if re.fullmatch(r"[0-9]{1,10}", text) else default
