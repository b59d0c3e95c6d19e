"""Bodies of many sizes, by length and in chunks."""

from tests.http.case import MAX_BODY, Request, bad, chunked, cut, good, post

_SIZES = [1, 2, 15, 16, 17, 255, 256, 1023, 4096, 8191, 16384, 65535, 65536, 65537, 131072, 262143, 262145]
_SIZES += [600_000, MAX_BODY - 1, MAX_BODY]
_PIECES = [1, 7, 100, 4096, 70_000]


def _data(size):
    """No two places alike, as far as possible: a byte lost or doubled is seen."""
    return bytes((n * 7 + n // 251) % 256 for n in range(min(size, 4096))) * (size // 4096 + 1)


def _in_chunks(data, size):
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def _length(size):
    data = _data(size)[:size]
    raw = post(f"Content-Length: {size}", body=data)
    return good(f"body/{size}", raw, "whole, and no more", Request("POST", body=data))


def _chunks(size, piece):
    data = _data(size)[:size]
    raw = chunked(body=_in_chunks(data, piece))
    return good(f"body/{size}-by-{piece}", raw, "whole, and no more", Request("POST", body=data))


CASES = [
    *map(_length, _SIZES),
    *(_chunks(size, piece) for size in (1, 100, 20_000, 200_000) for piece in _PIECES if piece <= size),
    _chunks(MAX_BODY, 65536),
    _chunks(3000, 1),
    bad(
        "body/over-limit",
        post(f"Content-Length: {MAX_BODY + 1}", body=b"x" * (MAX_BODY + 1)),
        "one byte over, and all of it sent",
        413,
    ),
    *(
        cut(
            f"body/cut-{sent}-of-{size}",
            post(f"Content-Length: {size}", body=b"x" * sent),
            "a body cut short",
        )
        for sent, size in [(0, 1), (1, 2), (4, 5), (99, 100), (65536, 65537), (500_000, MAX_BODY)]
    ),
]
