"""permessage-deflate: what is agreed on, and messages there and back."""

import os
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tornado.web import GZipContentEncoding

from waterspout.websocket import deflate
from waterspout.websocket.deflate import Agreement, Deflater, Inflater, negotiate
from waterspout.websocket.frames import ProtocolError

MAX = 10_000
TAIL = b"\x00\x00\xff\xff"


def pair(**parameters):
    """How a message is compressed by one side, and decompressed by the other."""
    agreement = Agreement(**parameters)
    return Deflater(agreement, {}), zlib.decompressobj(-(agreement.server_max_window_bits or 15))


class Sender:
    """The client's side."""

    def __init__(self, bits=15):
        self.stream = zlib.compressobj(9, zlib.DEFLATED, -bits)

    def message(self, data):
        return (self.stream.compress(data) + self.stream.flush(zlib.Z_SYNC_FLUSH))[:-4]


# -- negotiation -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offer", "answer"),
    [
        ("permessage-deflate", "permessage-deflate"),
        ("permessage-deflate; client_max_window_bits", "permessage-deflate"),
        (
            "permessage-deflate; client_max_window_bits=10",
            "permessage-deflate; client_max_window_bits=10",
        ),
        (
            'permessage-deflate;server_max_window_bits="9"',
            "permessage-deflate; server_max_window_bits=9",
        ),
        (
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        ),
        ("x-webkit-deflate-frame, permessage-deflate", "permessage-deflate"),
        (
            "permessage-deflate; server_max_window_bits=8, permessage-deflate; server_max_window_bits=15",
            "permessage-deflate; server_max_window_bits=15",
        ),
        ("permessage-deflate; unknown, permessage-deflate", "permessage-deflate"),
    ],
)
def test_an_offer_that_is_accepted(offer, answer):
    assert negotiate(offer).serialize() == answer


@pytest.mark.parametrize(
    "parameters",
    [
        "unknown",
        "unknown=1",
        "server_no_context_takeover=1",
        "client_no_context_takeover=true",
        "server_max_window_bits",
        "server_max_window_bits=",
        "server_max_window_bits=7",
        "server_max_window_bits=8",  # zlib can't
        "server_max_window_bits=16",
        "server_max_window_bits=010",
        "server_max_window_bits=+9",
        "server_max_window_bits=٩",
        "client_max_window_bits=7",
        "client_max_window_bits=16",
        'client_max_window_bits="1,0"',
        "client_max_window_bits; client_max_window_bits=9",
        "server_no_context_takeover; server_no_context_takeover",
        "",
    ],
)
def test_an_offer_that_is_declined(parameters):
    assert negotiate(f"permessage-deflate; {parameters}") is None


@pytest.mark.parametrize("field", ["", ",", "permessage-bzip2", "permessage-deflat", ";;=,=;"])
def test_no_offer_of_ours(field):
    assert negotiate(field) is None


@given(st.text(alphabet='permsag-dflt_xwindobk;=," 0123456789', max_size=60))
def test_any_field_is_accepted_or_declined(field):
    assert negotiate(field) is None or isinstance(negotiate(field), Agreement)


def test_a_smaller_window_is_of_no_use_to_zlib():
    with pytest.raises(ValueError, match="Invalid"):
        zlib.compressobj(6, zlib.DEFLATED, -8)


# -- there -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [None, 9, 15])
@given(sent=st.lists(st.binary(max_size=2000), max_size=6))
def test_messages_that_are_sent(bits, sent):
    deflater, stream = pair(server_max_window_bits=bits)
    assert [stream.decompress(deflater.deflate(data) + TAIL) for data in sent] == sent


def test_nothing_sent_refers_to_what_lies_beyond_the_client_s_window():
    data = os.urandom(600) * 2
    deflater, stream = pair(server_max_window_bits=9)
    for _ in range(2):
        assert stream.decompress(deflater.deflate(data) + TAIL) == data


def test_the_context_is_kept():
    data = os.urandom(1000)
    deflater, _ = pair()
    assert len(deflater.deflate(data)) > 1000
    assert len(deflater.deflate(data)) < 100


def test_the_context_is_kept_by_nobody_who_agreed_not_to():
    data = os.urandom(1000)
    deflater, _ = pair(server_no_context_takeover=True)
    first, second = deflater.deflate(data), deflater.deflate(data)
    assert first == second
    assert zlib.decompressobj(-15).decompress(second + TAIL) == data


def test_the_options_are_tornados():
    text = b"".join(b"%d bottles " % number for number in range(2000))
    sizes = [
        len(Deflater(Agreement(), {"compression_level": level, "mem_level": mem_level}).deflate(text))
        for level, mem_level in [(1, 1), (1, 9), (9, 9)]
    ]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > sizes[2]
    assert deflate._LEVEL == GZipContentEncoding.GZIP_LEVEL


# -- and back --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [None, 9, 15])
@given(sent=st.lists(st.binary(max_size=2000), max_size=6))
def test_messages_that_come(bits, sent):
    sender = Sender(bits or 15)
    inflater = Inflater(Agreement(client_max_window_bits=bits), MAX)
    assert [inflater.inflate(sender.message(data)) for data in sent] == sent


def test_a_client_that_keeps_no_context():
    inflater = Inflater(Agreement(client_no_context_takeover=True), MAX)
    assert [inflater.inflate(Sender().message(b"abc" * 9)) for _ in range(2)] == [b"abc" * 9] * 2


def test_a_context_that_was_to_be_forgotten():
    inflater, sender = Inflater(Agreement(client_no_context_takeover=True), MAX), Sender()
    data = os.urandom(200)
    inflater.inflate(sender.message(data))
    with pytest.raises(ProtocolError):
        inflater.inflate(sender.message(data))


def test_a_message_from_a_bytearray():
    assert Inflater(Agreement(), MAX).inflate(bytearray(Sender().message(b"abc"))) == b"abc"


@pytest.mark.parametrize("data", [b"a" * MAX, os.urandom(MAX)], ids=["repeated", "random"])
def test_a_message_may_be_as_large_as_allowed(data):
    assert Inflater(Agreement(), MAX).inflate(Sender().message(data)) == data


@pytest.mark.parametrize("size", [MAX + 1, MAX + 257, MAX + 258, MAX + 300, 10 * MAX])
def test_a_message_that_is_too_large(size):
    with pytest.raises(ProtocolError) as caught:
        Inflater(Agreement(), MAX).inflate(Sender().message(b"a" * size))
    assert caught.value.code == 1009


def test_a_bomb_takes_no_room():
    bomb = Sender().message(bytes(50_000_000))
    inflater = Inflater(Agreement(), 100_000)
    tracemalloc.start()
    with pytest.raises(ProtocolError):
        inflater.inflate(bomb)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 600_000


@given(st.binary(max_size=200))
def test_any_bytes_give_a_message_or_a_protocol_error(data):
    try:
        message = Inflater(Agreement(), MAX).inflate(data)
    except ProtocolError as error:
        message = error
    assert isinstance(message, bytes) or message.code in (1007, 1009)


def test_what_is_no_stream():
    with pytest.raises(ProtocolError) as caught:
        Inflater(Agreement(), MAX).inflate(b"\xff\xff\xff")
    assert caught.value.code == 1007


@pytest.mark.parametrize("padding", [b"", b"\x00"])
def test_a_client_may_end_its_stream_with_each_message(padding):
    inflater = Inflater(Agreement(), MAX)
    for text in (b"one", b"two"):
        stream = zlib.compressobj(9, zlib.DEFLATED, -15)
        assert inflater.inflate(stream.compress(text) + stream.flush() + padding) == text


def test_nothing_comes_behind_the_end_of_a_stream():
    stream = zlib.compressobj(9, zlib.DEFLATED, -15)
    ended = stream.compress(b"one") + stream.flush()
    with pytest.raises(ProtocolError) as caught:
        Inflater(Agreement(), MAX).inflate(ended + ended)
    assert caught.value.code == 1007


# -- memory ----------------------------------------------------------------------------------------------


def test_no_context_is_made_before_it_is_needed(monkeypatch):
    made = []
    monkeypatch.setattr(deflate.zlib, "compressobj", lambda *a: made.append(a))
    monkeypatch.setattr(deflate.zlib, "decompressobj", lambda *a: made.append(a))
    Deflater(Agreement(), {})
    Inflater(Agreement(), MAX)
    assert made == []


def test_no_context_is_kept_without_need():
    agreement = Agreement(server_no_context_takeover=True, client_no_context_takeover=True)
    deflater, inflater = Deflater(agreement, {}), Inflater(agreement, MAX)
    assert inflater.inflate(deflater.deflate(b"abc")) == b"abc"
    assert deflater._zlib is None
    assert inflater._zlib is None
