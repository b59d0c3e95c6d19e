"""Bodies: each ends where it says, however it is split."""

import contextlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waterspout import limits
from waterspout.exceptions import RequestRefused
from waterspout.http.body import ChunkedBody, FixedBody
from waterspout.http.head import HeadLimits

PIECES = st.lists(st.binary(min_size=1, max_size=50), max_size=8)
EXTENSIONS = st.sampled_from(["", ";", ";a=b", ';a="\xe9\t"'])


def chunk(data, extension="", size="%x"):
    return (size % len(data) + extension).encode("latin-1") + b"\r\n" + data + b"\r\n"


def decode(body, *pieces):
    """What a body yields when fed `pieces` until it is done, and what follows it."""
    found = b""
    for number, piece in enumerate(pieces):
        found += body.feed(piece)
        if body.done:
            return found, body.rest + b"".join(pieces[number + 1 :])
    return found, None


def chunked(*pieces):
    return decode(ChunkedBody(HeadLimits()), *pieces)


def status_of(*pieces):
    with pytest.raises(RequestRefused) as caught:
        chunked(*pieces)
    return caught.value.status


def split(data, cuts):
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in pairwise(places)]


def bytewise(data):
    return [data[n : n + 1] for n in range(len(data))]


def test_a_fixed_body_takes_no_more_than_its_own():
    assert decode(FixedBody(4), b"four") == (b"four", b"")
    assert decode(FixedBody(4), b"fo", b"urGET") == (b"four", b"GET")
    assert decode(FixedBody(4), *bytewise(b"fourGET")) == (b"four", b"GET")
    assert decode(FixedBody(4), b"thr") == (b"thr", None)


@given(PIECES, EXTENSIONS, st.lists(st.integers(0, 10_000), max_size=8))
def test_what_is_encoded_is_decoded(pieces, extension, cuts):
    data = b"".join(chunk(piece, extension) for piece in pieces) + b"0\r\nHost: x\r\n\r\nREST"
    whole = b"".join(pieces)
    assert chunked(data) == (whole, b"REST")
    assert chunked(*split(data, cuts)) == (whole, b"REST")
    assert chunked(*bytewise(data)) == (whole, b"REST")


@pytest.mark.parametrize("size", ["%X", "%04x", "000000000000000%x"])
def test_sizes(size):
    assert chunked(chunk(b"0123456789", size=size) + b"0\r\n\r\n") == (b"0123456789", b"")


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n",
        b"g\r\n",
        b"-1\r\n",
        b"+1\r\n",
        b"0x1\r\n",
        b" 1\r\n",
        b"1 \r\n",
        b"1\n",
        b"1\r\r",
        b"1_0\r\n",
        b";a\r\n",
        b"1;a\0\r\n",
        b"1;a\nx",
        b"00000000000000001\r\n",
        b"1\r\nxx",
        b"1\r\nx\n",
        b"1\r\nx\rx",
        b"0\r\nX : 1\r\n\r\n",
        b"0\r\nX: 1\n\r\n\r\n",
        b"1;" + b"a" * 300,
        b"1" + b" " * 300,
        b"1 a;b\r\n",
    ],
)
def test_broken_framing(data):
    assert status_of(data) == 400
    assert status_of(*bytewise(data)) == 400


@pytest.mark.parametrize("extension", [" ;a", "\t ;a", " ; a = b"])
def test_blanks_around_the_semicolon_of_an_extension_are_skipped(extension):
    """RFC 9110, 5.6.3: bad whitespace, which a recipient must parse."""
    data = chunk(b"x", extension) + b"0" + extension.encode() + b"\r\n\r\n"
    assert chunked(data) == (b"x", b"")
    assert chunked(*bytewise(data)) == (b"x", b"")


def test_what_has_no_end_is_refused():
    assert status_of(b"0\r\n", *[b"X: 1\r\n"] * 2000) == 431
    assert status_of(b"0\r\n" + b"X: 1\r\n" * 101 + b"\r\n") == 431
    extension = ";" + "a" * (limits.CHUNK_EXTENSION - 1)
    assert status_of(chunk(b"x", extension) * 100) == 400


def test_extensions_that_are_small_beside_their_data_may_go_on():
    """A signature in each chunk, say."""
    signed = [chunk(b"x" * 8192, ";sig=0123456789abcdef")] * 1000
    assert len(chunked(*signed, b"0\r\n\r\n")[0]) == 8192 * 1000
    assert len(chunked(*[chunk(b"x", ";sig=0123456789")] * 2000, b"0\r\n\r\n")[0]) == 2000


def test_it_never_holds_more_than_a_line_or_the_trailers():
    body = ChunkedBody(HeadLimits())
    held = 0
    for piece in bytewise(chunk(b"x" * 1000, ";abc") * 3 + b"0\r\n" + b"X: 1\r\n" * 100):
        body.feed(piece)
        held = max(held, len(body._partial))
    assert held <= limits.TRAILER_SIZE


def test_each_step_takes_something(monkeypatch):
    """There are as many steps as lines and pieces: one pass, whatever the size of the chunks."""
    count = 5000
    body = ChunkedBody(HeadLimits())
    steps = 0
    for name in ("_read_size", "_read_data", "_read_data_end", "_read_trailers"):
        assert callable(getattr(body, name))

    read_size = ChunkedBody._read_size

    def count_steps(self, *args):
        nonlocal steps
        steps += 1
        return read_size(self, *args)

    monkeypatch.setattr(ChunkedBody, "_read_size", count_steps)
    body = ChunkedBody(HeadLimits())
    data, found = chunk(b"x") * count + b"0\r\n\r\nREST", []
    while not body.done:
        found.append(body.feed(data))
        data = body.rest
    assert b"".join(found) == b"x" * count
    assert max(map(len, found)) == limits.CHUNKS_AT_ONCE
    assert data == b"REST"
    assert steps == count + 1


@given(st.binary(max_size=60), st.lists(st.integers(0, 100), max_size=5))
def test_no_bytes_raise_anything_but_a_refusal(data, cuts):
    for pieces in ([data], split(data, cuts), bytewise(data)):
        with contextlib.suppress(RequestRefused):
            chunked(*pieces)
