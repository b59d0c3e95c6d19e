"""The event loop's end of a lane, held by a test: plain sockets, blocking, with a deadline."""

import socket
from contextlib import contextmanager

from tests.waterspout.processes import running_thread
from tests.waterspout.wsgi.heads import make_head
from tests.waterspout.wsgi.transcript import Transcript
from waterspout.wsgi.frames import BODY, CANCEL, EOF, REQUEST, THREAD, pack, pack_about, serialize_request
from waterspout.wsgi.worker.worker import LaneWorker

DEADLINE = 10.0


def build_request(target="/", body=b"", **changes):
    """The frames of one request. `body`: all of it; None: on demand."""
    length = -1 if body is None else len(body)
    head = make_head(target=target, body_length=length, **changes)
    return pack(REQUEST, serialize_request(head)) + (pack(BODY, body) if body else b"")


class Wire:
    """Speaks with one lane worker. `reply`: what it has said since the last request."""

    def __init__(self, sock):
        self.sock = sock
        self.sock.settimeout(DEADLINE)
        self.reply = Transcript()

    def begin(self, target="/", body=b"", **changes):
        """Send a request."""
        self.reply = Transcript()
        self.sock.sendall(build_request(target, body, **changes))

    def send(self, kind, payload=b""):
        token = bytes(4) if kind in (CANCEL, EOF) else b""
        self.sock.sendall(pack(kind, token + payload))

    def read_until(self, condition):
        """Take what the worker says until the condition holds for it."""
        while not condition(self.reply):
            data = self.sock.recv(65536)
            assert data, f"the worker closed the lane; it had said {self.reply.kinds}"
            self.reply.send(data)
        return self.reply

    def finish(self):
        """The whole reply, once the lane is free again."""
        return self.read_until(lambda reply: reply.idle)

    def ask(self, target="/", body=b"", **changes):
        """A request and its reply."""
        self.begin(target, body, **changes)
        return self.finish()

    def is_closed(self):
        """Whether the worker has closed its end, and said nothing more."""
        try:
            return self.sock.recv(1) == b""
        except ConnectionError:
            return True


@contextmanager
def open_wire(app, *, multithread=True, multiprocess=False, kind=socket.socket, company=None):
    """A lane worker in a thread of its own; it must end when the lane is closed. `kind`: of its socket."""
    near_end, far_end = socket.socketpair()
    far_end = kind(fileno=far_end.detach())
    worker = LaneWorker(far_end, app, multithread=multithread, multiprocess=multiprocess, company=company)
    with near_end, running_thread(worker.run) as thread:
        wire = Wire(near_end)
        wire.thread = thread
        assert near_end.recv(9) == pack_about(THREAD, thread.native_id)
        yield wire
        near_end.close()
