"""`/api/stream`, `/api/ws`, `/api/poll`: three ways to keep open pages up to date."""

from waterspout import public
from waterspout.native import live


@public
class StreamHandler(live.StreamHandler):
    """Server-sent events."""


@public
class SocketHandler(live.SocketHandler):
    """A WebSocket."""


@public
class PollHandler(live.PollHandler):
    """A long-poll."""
