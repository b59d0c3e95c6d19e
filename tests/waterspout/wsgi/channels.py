"""The event loop's end of a control channel, held by a test, with a separate process at the other end."""

import json
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

from waterspout.wsgi.frames import FAILED, LANE, READY, SPEC, FrameParser, pack
from waterspout.wsgi.lanes.command import build_command

ROOT = Path(__file__).resolve().parent.parent.parent.parent
DEADLINE = 20.0
WORKER = tuple(build_command(0)[1:-1])


class Channel:
    """Speaks with a process over its control channel."""

    def __init__(self, sock, process):
        self.sock = sock
        self.sock.settimeout(DEADLINE)
        self.process = process
        self._parser = FrameParser()
        self._frames = []

    def order(self, kind, payload=b"", descriptors=()):
        if descriptors:
            socket.send_fds(self.sock, [pack(kind, payload)], descriptors)
        else:
            self.sock.sendall(pack(kind, payload))

    def hear(self):
        """The next frame from the process: (kind, payload); None when it has closed its end."""
        while not self._frames:
            data = self.sock.recv(65536)
            if not data:
                return None
            self._frames += self._parser.feed(data)
        return self._frames.pop(0)

    def exit_code(self):
        return self.process.wait(DEADLINE)

    # -- a WSGI process --------------------------------------------------------------------------------------

    def start(self, target="tests.waterspout.wsgi.apps:app", **changes):
        """Tell it what to run: READY or FAILED, and the failure."""
        spec = {"target": target, "debug": False, "threads": 2, "multiprocess": False, "nice": 0}
        self.order(
            SPEC,
            json.dumps(
                spec | {"argv": sys.argv, "path": sys.path, "log_level": 20, "time_zone": None} | changes
            ).encode(),
        )
        kind, payload = self.hear()
        assert kind in (READY, FAILED)
        return kind, json.loads(payload) if payload else None

    def open_lane(self):
        """Hand over one end of a new lane; the other end."""
        near_end, far_end = socket.socketpair()
        with far_end:
            self.order(LANE, descriptors=(far_end.fileno(),))
        return near_end


@contextmanager
def open_channel(*command, stderr=None):
    """A process that is started with `command` and the descriptor of its end of the channel."""
    near_end, far_end = socket.socketpair()
    with near_end:
        with far_end:
            process = subprocess.Popen(
                [sys.executable, *command, str(far_end.fileno())],
                pass_fds=[far_end.fileno()],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stderr=stderr,
            )
        with process:
            try:
                yield Channel(near_end, process)
            finally:
                process.kill()
