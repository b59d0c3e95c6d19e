"""The events of the stream as JSON messages on a WebSocket (`?since=` works as there).

    {"event": "changes", "cursor": "12.40.3", "data": {...}}

Pages of other sites are refused, as browsers send our cookies with a handshake; clients that aren't browsers
send no Origin, and are accepted. Messages from the client are ignored.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from tornado.websocket import WebSocketClosedError, WebSocketHandler

from waterspout.limits import FOLLOWER_MESSAGE_SIZE
from waterspout.native.json_handler import JSONErrors
from waterspout.native.live.following import Following
from waterspout.native.live.watch import TooManyFollowers

_logger = logging.getLogger(__name__)

# RFC 6455's registry: 1011 a server error, 1013 try again later.
_FAILED, _TRY_AGAIN_LATER = 1011, 1013


class SocketHandler(Following, JSONErrors, WebSocketHandler):
    """One open socket, until the client goes, stops answering pings, or the server drains."""

    max_message_size = FOLLOWER_MESSAGE_SIZE

    @property
    def ping_interval(self) -> float | None:
        return self.heartbeat

    async def get(self, *args: Any, **kwargs: Any) -> None:
        self._since = self.cursor()  # raises HTTPError: a 400 can still be sent here
        await super().get(*args, **kwargs)

    def open(self) -> None:
        self.task = asyncio.create_task(self.talk())

    async def talk(self) -> None:
        try:
            with self.watch.follow(None) as self.follower:  # pings serve as heartbeats
                await self.follower.begin(self._since)
                async for event in self.follower:
                    if event is not None:
                        await self.write_message(event.message)
        except TooManyFollowers:
            self.close(_TRY_AGAIN_LATER)
        except WebSocketClosedError:
            pass  # the client went while it was being written to
        except (KeyboardInterrupt, asyncio.CancelledError, GeneratorExit):
            raise
        except BaseException:
            _logger.exception("closing a WebSocket after an exception")
            self.close(_FAILED)

    def on_message(self, message: str | bytes) -> None:
        pass

    def on_close(self) -> None:
        if self.follower is not None:
            self.follower.leave()
