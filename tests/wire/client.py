"""A client that sends exactly what it is told to, and hides nothing of what it receives."""

import json
import socket
import struct
import time
from dataclasses import dataclass

TIMEOUT = 10.0
BLOCK = 65536


class Cut(Exception):
    """The connection ended before the reply did; carries what was received."""

    def __init__(self, received, reply=None):
        super().__init__(f"cut after {bytes(received[:300])!r}")
        self.received = bytes(received)
        self.reply = reply


@dataclass
class Reply:
    """One reply as it stood on the wire."""

    version: str
    status: int
    reason: str
    headers: list[tuple[str, str]]
    body: bytes = b""

    def all(self, name):
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def header(self, name):
        return next(iter(self.all(name)), None)

    def json(self):
        return json.loads(self.body)

    @property
    def text(self):
        return self.body.decode("latin-1")

    @property
    def chunked(self):
        return (self.header("Transfer-Encoding") or "").lower() == "chunked"


def parse_head(head):
    start, *lines = head.decode("latin-1").split("\r\n")
    version, status, reason = [*start.split(" ", 2), ""][:3]
    headers = []
    for line in lines:
        name, colon, value = line.partition(":")
        assert colon, f"not a header line: {line!r}"
        headers.append((name, value.strip(" \t")))
    return Reply(version, int(status), reason, headers)


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def chunked(*parts):
    """A whole chunked body."""
    return b"".join(map(chunk, parts)) + b"0\r\n\r\n"


def build_head(method, target, headers=(), version="1.1"):
    """A request's head, byte for byte; `Host` is added unless it is given or the version has none."""
    lines = [f"{method} {target} HTTP/{version}"]
    if version == "1.1" and not any(name.lower() == "host" for name, _ in headers):
        lines.append("Host: test.example")
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def build_request(method, target, headers=(), body=None, version="1.1"):
    length = [] if body is None else [("Content-Length", str(len(body)))]
    return build_head(method, target, [*headers, *length], version) + (body or b"")


class Connection:
    """One TCP connection, with TLS if `tls`, a context, is given. Every wait has a timeout."""

    def __init__(self, address, timeout=TIMEOUT, receive_buffer=None, tls=None):
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        try:
            if receive_buffer:
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            self.socket.settimeout(timeout)
            self.socket.connect(address)
            if tls is not None:
                self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")
        except BaseException:
            self.socket.close()
            raise
        self.buffer = bytearray()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    @property
    def port(self):
        return self.socket.getsockname()[1]

    def close(self):
        self.socket.close()

    def reset(self):
        """End with RST: what was on its way is thrown away."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def send(self, *parts):
        for part in parts:
            self.socket.sendall(part)

    def send_head(self, method, target, headers=(), version="1.1"):
        self.send(build_head(method, target, headers, version))

    def send_request(self, method, target, headers=(), body=None, version="1.1"):
        self.send(build_request(method, target, headers, body, version))

    def ask(self, method, target, headers=(), body=None, version="1.1"):
        """Send one request and read its one reply."""
        self.send_request(method, target, headers, body, version)
        return self.reply(method)

    def _fill(self, reply=None):
        try:
            data = self.socket.recv(BLOCK)
        except ConnectionError:
            data = b""
        if not data:
            raise Cut(self.buffer, reply)
        self.buffer += data

    def take(self, size, reply=None):
        """Exactly `size` bytes."""
        while len(self.buffer) < size:
            self._fill(reply)
        data = bytes(self.buffer[:size])
        del self.buffer[:size]
        return data

    def take_until(self, mark, reply=None):
        """The bytes before a mark; the mark is swallowed."""
        while (position := self.buffer.find(mark)) < 0:
            self._fill(reply)
        data = bytes(self.buffer[:position])
        del self.buffer[: position + len(mark)]
        return data

    def head(self):
        """The head of the next reply, which may be an interim one."""
        return parse_head(self.take_until(b"\r\n\r\n"))

    def next_chunk(self, reply=None):
        """The data of the next chunk, b"" for the last."""
        size = self.take_until(b"\r\n", reply)
        assert size.isalnum(), f"not a chunk size: {size!r}"
        data = self.take(int(size, 16), reply)
        assert self.take(2, reply) == b"\r\n"
        return data

    def reply(self, method="GET"):
        """Exactly one reply. Raises Cut if it ends before its framing says so."""
        reply = self.head()
        if method == "HEAD" or reply.status < 200 or reply.status in (204, 304):
            return reply
        return self.body_of(reply)

    def body_of(self, reply):
        if reply.chunked:
            body = bytearray()
            try:
                while data := self.next_chunk(reply):
                    body += data
            finally:
                reply.body = bytes(body)
        elif (length := reply.header("Content-Length")) is not None:
            reply.body = self.take(int(length), reply)
        else:
            reply.body = self.rest(reply)
        return reply

    def rest(self, reply=None):
        """All bytes up to a clean end; a reset is a cut."""
        while True:
            try:
                data = self.socket.recv(BLOCK)
            except ConnectionError as error:
                raise Cut(self.buffer, reply) from error
            if not data:
                everything = bytes(self.buffer)
                self.buffer.clear()
                return everything
            self.buffer += data

    def everything(self):
        """All bytes up to the end, clean or not."""
        try:
            return self.rest()
        except Cut as cut:
            return cut.received

    def is_silent(self, seconds):
        """Whether nothing comes, and the connection stays open, for so long."""
        before = self.socket.gettimeout()
        self.socket.settimeout(seconds)
        try:
            data = self.socket.recv(BLOCK)
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(before)
        self.buffer += data
        return False

    def ends_within(self, seconds=TIMEOUT):
        """Whether the server closes in time; what still comes is thrown away."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                if not self.socket.recv(BLOCK):
                    return True
            except TimeoutError:
                return False
            except ConnectionError:
                return True
        return False
