"""wsgi.input: every way of reading it, and how much is asked for meanwhile."""

import io
import os
import sys
from collections import deque

import pytest
from werkzeug.wsgi import _RangeWrapper

from waterspout.exceptions import ClientDisconnected
from waterspout.limits import FILE_BLOCK, READ_WINDOW
from waterspout.wsgi.worker.body import FileWrapper, open_body
from waterspout.wsgi.worker.inbox import Inbox

ON_DEMAND = -1
END = object()
GONE = object()


class ScriptedSource:
    """A lane on which these things arrive, one at each wait."""

    def __init__(self, *arrivals):
        self.inbox = Inbox()
        self.asked = 0
        self.waits = 0
        self._arrivals = deque(arrivals)

    def ask(self, credit):
        assert credit > 0
        self.asked += credit

    def receive(self, inbox=None):
        assert inbox is None or inbox.is_empty
        self.waits += 1
        arrival = self._arrivals.popleft()
        if arrival is END:
            self.inbox.ended = True
        elif arrival is GONE:
            self.inbox.cancelled = "the client left"
        else:
            self.inbox.pieces.append(arrival)


class ObedientSource(ScriptedSource):
    """A lane that sends `size` bytes, never more than was asked for, and `piece` of them at a time."""

    def __init__(self, size, piece):
        super().__init__()
        self._left = size
        self._piece = piece
        self._delivered = 0
        self.largest_window = 0

    def ask(self, credit):
        super().ask(credit)
        self.largest_window = max(self.largest_window, self.asked - self._delivered)

    def receive(self, inbox=None):
        assert inbox is None or inbox.is_empty
        self.waits += 1
        if self._left == 0:
            self.inbox.ended = True
            return
        size = min(self._piece, self._left, self.asked - self._delivered)
        assert size > 0, "the reader waits for what it has not asked for"
        self._left -= size
        self._delivered += size
        self.inbox.pieces.append(b"x" * size)


def open_lines():
    return open_body(ON_DEMAND, ScriptedSource(b"one\ntw", b"o\n", b"\nfour", END))


WAYS = {
    "read": lambda body: body.read(),
    "read(-1)": lambda body: body.read(-1),
    "read(None)": lambda body: body.read(None),
    "read(3)": lambda body: b"".join(iter(lambda: body.read(3), b"")),
    "read(large)": lambda body: body.read(10**6),
    "read(huge)": lambda body: body.read(sys.maxsize),
    "read(negative)": lambda body: body.read(-5),
    "read1(None)": lambda body: body.read1(None),
    "read1(huge)": lambda body: b"".join(iter(lambda: body.read1(sys.maxsize), b"")),
    "read1": lambda body: b"".join(iter(lambda: body.read1(5), b"")),
    "readline": lambda body: b"".join(iter(body.readline, b"")),
    "readline(2)": lambda body: b"".join(iter(lambda: body.readline(2), b"")),
    "readlines": lambda body: b"".join(body.readlines()),
    "readlines(1)": lambda body: b"".join(body.readlines(1) + body.readlines()),
    "iteration": lambda body: b"".join(body),
    "text": lambda body: io.TextIOWrapper(body, "ascii", newline="").read().encode(),
}


@pytest.mark.parametrize("read", WAYS.values(), ids=WAYS)
def test_every_way_of_reading_gives_the_whole_body(read):
    assert read(open_lines()) == b"one\ntwo\n\nfour"


@pytest.mark.parametrize("read", WAYS.values(), ids=WAYS)
def test_every_way_of_reading_gives_the_whole_small_body(read):
    source = ScriptedSource(b"one\ntw", b"o\n\nfour")
    assert read(open_body(13, source)) == b"one\ntwo\n\nfour"


def test_lines_are_lines_whatever_they_arrived_in():
    assert list(open_lines()) == [b"one\n", b"two\n", b"\n", b"four"]
    assert open_lines().readline() == b"one\n"
    assert open_lines().readlines() == [b"one\n", b"two\n", b"\n", b"four"]


def test_a_size_above_what_is_read_at_once_is_read_in_parts(monkeypatch):
    monkeypatch.setattr("waterspout.wsgi.worker.body._READ_AT_ONCE", 4)
    body = open_lines()
    assert [body.read(size) for size in (8, 6, 5)] == [b"one\ntwo\n", b"\nfour", b""]


def test_readinto_fills_a_buffer():
    body, buffer = open_lines(), bytearray(8)
    assert body.readinto(buffer) == 8
    assert buffer == b"one\ntwo\n"


def test_read1_gives_what_is_there_without_waiting_for_more():
    body = open_body(ON_DEMAND, ScriptedSource(b"first", b"second", END))
    assert body.read1(100) == b"first"
    assert body.read1(100) == b"second"


def test_at_the_end_there_is_nothing_however_often_one_asks():
    source = ScriptedSource(b"all", END)
    body = open_body(ON_DEMAND, source)
    assert body.read() == b"all"
    assert [body.read(), body.read(5), body.readline(), list(body)] == [b"", b"", b"", []]
    assert source.waits == 2


def test_an_empty_body_ends_at_once():
    assert open_body(ON_DEMAND, ScriptedSource(END)).read() == b""


@pytest.mark.parametrize("method", ["seek", "tell"])
def test_it_is_a_stream_and_no_file(method):
    body = open_lines()
    assert body.readable()
    assert not body.seekable()
    assert not body.writable()


# --- asking --------------------------------------------------------------------------------------------


def test_nothing_is_asked_for_before_the_view_reads():
    source = ScriptedSource(b"x", END)
    body = open_body(ON_DEMAND, source)
    assert body.read(0) == b""
    assert (source.asked, source.waits) == (0, 0)


def test_what_has_come_is_read_without_waiting():
    source = ScriptedSource()
    source.inbox.pieces.append(b"here")
    source.inbox.ended = True
    assert open_body(ON_DEMAND, source).read() == b"here"
    assert (source.asked, source.waits) == (0, 0)


@pytest.mark.parametrize("piece", [1000, 65536, READ_WINDOW, 10**9])
@pytest.mark.parametrize("size", [1, READ_WINDOW, 10 * READ_WINDOW + 7])
def test_a_body_of_any_size_is_read_through_one_window(size, piece):
    source = ObedientSource(size, piece)
    assert len(open_body(ON_DEMAND, source).read()) == size
    assert source.largest_window <= READ_WINDOW


def test_the_window_is_refilled_before_it_is_empty():
    """The event loop always has credit left, so it never waits for the view between two pieces."""
    source = ObedientSource(4 * READ_WINDOW, READ_WINDOW // 2)
    body = open_body(ON_DEMAND, source)
    body.read(READ_WINDOW)
    assert source.asked >= READ_WINDOW + READ_WINDOW // 2


def test_small_reads_ask_seldom():
    source = ObedientSource(2 * READ_WINDOW, 1000)
    asks = []
    ask = source.ask
    source.ask = lambda credit: (asks.append(credit), ask(credit))
    body = open_body(ON_DEMAND, source)
    while body.read(100):
        pass
    assert len(asks) <= 6


# --- a client that leaves ------------------------------------------------------------------------------


@pytest.mark.parametrize("read", WAYS.values(), ids=WAYS)
def test_a_client_that_leaves_is_an_error_however_one_reads(read):
    with pytest.raises(ClientDisconnected):
        read(open_body(ON_DEMAND, ScriptedSource(b"half", GONE)))


def test_it_is_the_error_that_frameworks_expect_of_a_broken_stream():
    with pytest.raises(OSError, match="client left"):
        open_body(ON_DEMAND, ScriptedSource(GONE)).read()


def test_a_client_that_has_left_before_the_view_reads_is_not_waited_for():
    source = ScriptedSource()
    source.inbox.cancelled = "the client left"
    with pytest.raises(ClientDisconnected):
        open_body(ON_DEMAND, source).read()
    assert (source.asked, source.waits) == (0, 0)


def test_what_came_before_it_left_can_be_read():
    body = open_body(ON_DEMAND, ScriptedSource(b"half", GONE))
    assert body.read(4) == b"half"
    with pytest.raises(ClientDisconnected):
        body.read(1)


def test_a_view_that_reads_on_gets_the_same_error_again():
    body = open_body(ON_DEMAND, ScriptedSource(GONE))
    for _ in range(3):
        with pytest.raises(ClientDisconnected):
            body.read()


# --- a small body --------------------------------------------------------------------------------------


def test_a_small_body_is_here_before_the_view_runs():
    source = ScriptedSource(b"ab", b"c", b"de")
    body = open_body(5, source)
    assert source.waits == 3
    assert body.read() == b"abcde"
    assert source.asked == 0


def test_no_body_is_not_waited_for():
    source = ScriptedSource()
    assert open_body(0, source).read() == b""
    assert source.waits == 0


def test_a_small_body_that_never_becomes_whole_is_an_error():
    with pytest.raises(ClientDisconnected):
        open_body(5, ScriptedSource(b"ab", GONE))


# --- wsgi.file_wrapper ---------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, FILE_BLOCK, FILE_BLOCK + 1, 3 * FILE_BLOCK])
@pytest.mark.parametrize("block_size", [1, 8192, FILE_BLOCK])
def test_a_file_comes_in_large_blocks(size, block_size):
    content = bytes(size)
    blocks = list(FileWrapper(io.BytesIO(content), block_size))
    assert b"".join(blocks) == content
    assert len(blocks) == -(-size // FILE_BLOCK)


def test_larger_blocks_are_taken_as_asked_for():
    blocks = list(FileWrapper(io.BytesIO(bytes(4 * FILE_BLOCK)), 2 * FILE_BLOCK))
    assert [len(block) for block in blocks] == [2 * FILE_BLOCK] * 2


def test_a_file_that_can_only_be_read_is_read():
    class Part(io.BufferedIOBase):
        """Like WhiteNoise's for a range: the base class's read1 raises."""

        def __init__(self):
            self.left = b"of a file"

        def read(self, size=-1):
            data, self.left = self.left[:size], self.left[size:]
            return data

    assert b"".join(FileWrapper(Part(), 4)) == b"of a file"


def test_it_begins_where_the_file_stands():
    file = io.BytesIO(b"skipped, the rest")
    file.seek(9)
    assert b"".join(FileWrapper(file)) == b"the rest"


def test_a_range_of_it_does_not_read_what_is_before():
    """As Werkzeug sends one: it seeks if it can."""

    class Counting(io.BytesIO):
        count = 0

        def read(self, size=-1):
            data = super().read(size)
            self.count += len(data)
            return data

    file = Counting(bytes(50 * FILE_BLOCK) + b"the end")
    assert b"".join(_RangeWrapper(FileWrapper(file), 50 * FILE_BLOCK, 7)) == b"the end"
    assert file.count == 7


def test_what_can_t_seek_does_not_say_that_it_can():
    there, here = os.pipe()
    os.close(here)
    with open(there, "rb") as file:
        assert not hasattr(FileWrapper(file), "seekable")


def test_closing_it_closes_the_file():
    file = io.BytesIO(b"x")
    FileWrapper(file).close()
    assert file.closed


def test_what_has_no_close_needs_none():
    class Source:
        read = io.BytesIO(b"content").read

    wrapped = FileWrapper(Source())
    assert not hasattr(wrapped, "close")
    assert list(wrapped) == [b"content"]
