"""What a lane worker has said, read as the event loop reads it."""

from waterspout.wsgi.frames import (
    DATA,
    END,
    IDLE,
    READ,
    REPLY,
    SWITCH,
    THREAD,
    FrameParser,
    parse_read,
    parse_reply,
)


class Transcript:
    """Frames from a lane worker. `sends`: as they were sent; the rest: what they say."""

    def __init__(self):
        self.sends = []
        self.head = None
        self.body = b""
        self.switched = False
        self.end = None
        self.idle = False
        self.credit = 0
        self.kinds = []
        self._parser = FrameParser()

    def send(self, frames):
        """Take some more, whole frames or not. This is all that a Response needs of a lane."""
        self.sends.append(frames)
        for kind, payload in self._parser.feed(frames):
            self._take(kind, payload)

    def _take(self, kind, payload):
        if kind == THREAD:
            return  # said once, before all requests
        self.kinds.append(kind)
        if kind == REPLY:
            assert self.head is None, "a second head"
            self.head = parse_reply(payload)
        elif kind == DATA:
            assert self.head is not None or self.switched, "a body before its head"
            assert self.end is None, "a body after its end"
            self.body += payload
        elif kind == END:
            assert self.head is not None or self.switched, "an end before a head"
            assert self.end is None, "a second end"
            self.end = payload
        elif kind == SWITCH:
            assert self.head is None, "a reply has begun"
            self.switched = True
        elif kind == IDLE:
            self.idle = True
        elif kind == READ:
            self.credit += parse_read(payload)

    @property
    def status(self):
        return None if self.head is None else self.head.status

    def values(self, name):
        """All values of a header of the reply."""
        return [value for found, value in self.head.headers if found.lower() == name.lower()]
