"""Inputs for the fuzzer: cases of the corpus, changed a little, and cut into pieces."""

import itertools
import random
from collections.abc import Callable, Sequence

from tests.http.case import CANARY

_WORDS = [
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b"\r",
    b"\0",
    b" ",
    b"\t",
    b":",
    b";",
    b",",
    b"\xff",
    b"0\r\n\r\n",
    b"5\r\nhello\r\n",
    b"Host: b\r\n",
    b"Content-Length: 5\r\n",
    b"Content-Length: 0\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Connection: close\r\n",
    b"Connection: keep-alive\r\n",
    b"Expect: 100-continue\r\n",
    b"X-A: b\r\n",
    b"HTTP/1.0",
    b"HTTP/1.1",
    b"GET / HTTP/1.1\r\n",
    b"*",
    b"http://b",
    b"@",
    b"%",
    CANARY,
]

Draw = random.Random


def _flip(draw: Draw, data: bytes, other: bytes) -> bytes:
    if not data:
        return data
    at = draw.randrange(len(data))
    byte = data[at] ^ (1 << draw.randrange(8)) if draw.random() < 0.5 else draw.randrange(256)
    return data[:at] + bytes([byte]) + data[at + 1 :]


def _insert(draw: Draw, data: bytes, other: bytes) -> bytes:
    at = draw.randint(0, len(data))
    word = draw.choice(_WORDS) if draw.random() < 0.8 else draw.randbytes(draw.randint(1, 4))
    return data[:at] + word + data[at:]


def _delete(draw: Draw, data: bytes, other: bytes) -> bytes:
    start, end = _slice(draw, data)
    return data[:start] + data[end:]


def _duplicate(draw: Draw, data: bytes, other: bytes) -> bytes:
    start, end = _slice(draw, data)
    return data[:end] + data[start:end] + data[end:]


def _splice(draw: Draw, data: bytes, other: bytes) -> bytes:
    return data[: draw.randint(0, len(data))] + other[draw.randint(0, len(other)) :]


def _append(draw: Draw, data: bytes, other: bytes) -> bytes:
    return data + other


def _swap_lines(draw: Draw, data: bytes, other: bytes) -> bytes:
    lines = data.split(b"\r\n")
    first, second = draw.randrange(len(lines)), draw.randrange(len(lines))
    lines[first], lines[second] = lines[second], lines[first]
    return b"\r\n".join(lines)


def _truncate(draw: Draw, data: bytes, other: bytes) -> bytes:
    return data[: draw.randint(0, len(data))]


def _slice(draw: Draw, data: bytes) -> tuple[int, int]:
    """A random place, mostly short."""
    start = draw.randint(0, len(data))
    return start, min(len(data), start + draw.choice([1, 1, 2, 4, 16, 64]))


_MUTATIONS: list[Callable[[Draw, bytes, bytes], bytes]] = [
    _flip,
    _flip,
    _insert,
    _insert,
    _delete,
    _duplicate,
    _splice,
    _append,
    _swap_lines,
    _truncate,
]


def mutate(draw: Draw, seeds: Sequence[bytes]) -> bytes:
    """One of `seeds`, changed once or a few times."""
    data = draw.choice(seeds)
    for _ in range(draw.choice([1, 1, 2, 3, 5])):
        data = draw.choice(_MUTATIONS)(draw, data, draw.choice(seeds))
    return data


def split(draw: Draw, data: bytes) -> list[bytes]:
    """Whole, in a few pieces, or byte by byte."""
    kind = draw.random()
    if kind < 0.3 or not data:
        return [data]
    if kind < 0.4 and len(data) <= 150:
        return [data[at : at + 1] for at in range(len(data))]
    places = sorted({0, len(data), *draw.choices(range(len(data)), k=draw.randint(1, 6))})
    return [data[start:end] for start, end in itertools.pairwise(places)]
