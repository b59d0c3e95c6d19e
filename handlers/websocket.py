"""`/api/ws`: the events of the stream as JSON messages on a WebSocket (`?since=` as there).

    {"event": "changes", "cursor": "12.40.3", "data": {...}}

Pages of other sites are refused, as browsers send our cookies along with a handshake; clients that are no
browsers say no Origin, and are welcome. What a client sends is ignored.
"""

import asyncio
import logging

from tornado.websocket import WebSocketClosedError, WebSocketHandler

from handlers.base import Resources
from handlers.following import HEARTBEAT
from handlers.version import parse_version
from handlers.watch import Follower, TooManyFollowers

logger = logging.getLogger(__name__)

# Nobody has to say anything here; a client library's greeting fits in.
MESSAGE_SIZE = 1024

# RFC 6455's registry: 1011 an error of the server, 1013 try again later.
FAILED, TRY_AGAIN_LATER = 1011, 1013


class SocketHandler(Resources, WebSocketHandler):
    """One open socket, until the client goes, stops answering pings, or the server drains."""

    follower: Follower | None = None
    max_message_size = MESSAGE_SIZE

    @property
    def ping_interval(self) -> float:
        interval: float = self.settings.get("heartbeat", HEARTBEAT)
        return interval

    def open(self) -> None:
        self.task = asyncio.create_task(self.talk())

    async def talk(self) -> None:
        try:
            with self.watch.follow(HEARTBEAT) as self.follower:
                await self.follower.begin(parse_version(self.get_query_argument("since", "")))
                async for event in self.follower:
                    if event is not None:
                        await self.write_message(event.message)
        except TooManyFollowers:
            self.close(TRY_AGAIN_LATER)
        except WebSocketClosedError:
            pass  # the client went while it was being written to
        except Exception:
            logger.exception("a socket is closed")
            self.close(FAILED)

    def on_message(self, message: str | bytes) -> None:
        pass

    def on_close(self) -> None:
        if self.follower is not None:
            self.follower.leave()
