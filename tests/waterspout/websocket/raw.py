"""What tests need of a WebSocket client: frames as a client sends them, and the bytes of a socket."""

import asyncio
import os
import struct
from contextlib import asynccontextmanager

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # RFC 6455 section 1.3

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


def mask_slowly(mask, data):
    """Byte by byte, as in RFC 6455 section 5.3."""
    return bytes(byte ^ mask[index % 4] for index, byte in enumerate(data))


def length_of(size, masked):
    bit = 0x80 if masked else 0
    if size < 126:
        return bytes([bit | size])
    if size < 0x10000:
        return bytes([bit | 126]) + struct.pack("!H", size)
    return bytes([bit | 127]) + struct.pack("!Q", size)


def frame(opcode, payload=b"", *, fin=True, rsv=0, mask=None):
    """One frame as a client sends it, masked with four random bytes by default."""
    payload = payload.encode() if isinstance(payload, str) else payload
    mask = os.urandom(4) if mask is None else mask
    masked = mask_slowly(mask, payload) if len(payload) < 100_000 else xor(mask, payload)
    return bytes([(0x80 if fin else 0) | rsv << 4 | opcode]) + length_of(len(payload), True) + mask + masked


def xor(mask, data):
    key = (mask * (len(data) // 4 + 1))[: len(data)]
    return (int.from_bytes(data, "big") ^ int.from_bytes(key, "big")).to_bytes(len(data), "big")


def close(code=None, reason=""):
    return frame(CLOSE, b"" if code is None else struct.pack("!H", code) + reason.encode())


def request(path="/", *, drop=(), **fields):
    """A handshake; `drop`: fields to leave out; others by name, with _ for -."""
    headers = {
        "Host": "localhost",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": KEY,
        "Sec-WebSocket-Version": "13",
    }
    headers.update({name.replace("_", "-"): value for name, value in fields.items()})
    lines = [f"{name}: {value}" for name, value in headers.items() if name not in drop]
    return "\r\n".join([f"GET {path} HTTP/1.1", *lines, "", ""]).encode()


class Client:
    """A raw connection. `read` gives (opcode, payload) of the next frame, and None at the end."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        self.rsv1 = False

    @property
    def transport(self):
        return self.writer.transport

    def send(self, *frames):
        self.writer.write(b"".join(frames))

    def text(self, *messages):
        self.send(*(frame(TEXT, message) for message in messages))

    async def head(self):
        """Status and fields of an HTTP answer; the body, if any, stays unread."""
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        fields = dict(line.split(": ", 1) for line in lines[1:] if line)
        return int(lines[0].split()[1]), {name.lower(): value for name, value in fields.items()}

    async def read(self):
        try:
            first, second = await self.reader.readexactly(2)
            assert not second & 0x80, "a server never masks"
            size = second
            if size == 126:
                (size,) = struct.unpack("!H", await self.reader.readexactly(2))
            elif size == 127:
                (size,) = struct.unpack("!Q", await self.reader.readexactly(8))
            payload = await self.reader.readexactly(size)
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        self.rsv1 = bool(first & 0x40)
        return first & 0x0F, payload

    async def read_text(self):
        opcode, payload = await self.read()
        assert opcode == TEXT
        return payload.decode()

    async def read_close(self):
        """Code and reason of the close frame that comes next, and then the end."""
        opcode, payload = await self.read()
        assert opcode == CLOSE, (opcode, payload)
        assert await self.read() is None
        return (struct.unpack("!H", payload[:2])[0] if payload else None), payload[2:].decode()


@asynccontextmanager
async def connect(port, request_=None, *, then=b"", status=101, path="/", **fields):
    """A client whose handshake is answered with `status`; its `fields` are on the client."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**20)
    client = Client(reader, writer)
    try:
        writer.write((request_ or request(path, **fields)) + then)
        got, client.fields = await client.head()
        assert got == status
        yield client
    finally:
        writer.transport.abort()
        await asyncio.sleep(0)
