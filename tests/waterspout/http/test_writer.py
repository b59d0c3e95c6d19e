"""Backpressure, over a transport that takes as much as it is told to."""

import asyncio

import pytest
from tornado.iostream import StreamClosedError

from waterspout.http.sendfile import FilePart
from waterspout.http.writer import WRITE_TURN, Writer
from waterspout.limits import WRITE_SIZE


class Transport:
    """Takes pieces until `room` bytes are on their way; then the protocol is told to pause."""

    def __init__(self, room):
        self.room = room
        self.held = 0
        self.pieces = []
        self.writer = None
        self.closing = False

    def write(self, data):
        assert not self.closing
        self.pieces.append(data)
        self.held += len(data)
        if self.held > self.room and not self.writer.paused:
            self.writer.pause()

    def take(self, size):
        """The client reads."""
        self.held -= min(size, self.held)
        if self.writer.paused and self.held <= self.room:
            self.writer.resume()
            self.writer.go_on()

    def get_write_buffer_size(self):
        return self.held

    def get_extra_info(self, name):
        return None

    def is_closing(self):
        return self.closing

    @property
    def data(self):
        return b"".join(bytes(piece) for piece in self.pieces)


def with_writer(test):
    """Run a coroutine test with a writer and its transport, which has room for 1.5 pieces."""

    def run():
        async def within():
            done = asyncio.get_running_loop().create_future()
            done.set_result(None)
            transport = Transport(WRITE_SIZE * 3 // 2)
            transport.writer = Writer(transport, done)
            async with asyncio.timeout(20):
                await test(transport.writer, transport)

        asyncio.run(within())

    run.__name__ = test.__name__
    return run


def large(pieces=4):
    return bytes(range(256)) * (pieces * WRITE_SIZE // 256)


@with_writer
async def test_small_pieces_go_straight_on(writer, transport):
    first = writer.write(b"one")
    assert first.done()
    assert first is writer.write(b"two") is writer.when_room()
    assert transport.pieces == [b"one", b"two"]
    assert not writer.holds


@with_writer
async def test_every_now_and_then_others_have_a_turn(writer, transport):
    """Else a coroutine that only writes, to a transport that is never full, has the event loop for itself."""
    futures = [writer.write(b"a") for _ in range(WRITE_TURN * 2)]
    late = [future for future in futures if not future.done()]
    assert len(late) == 2
    late[0].cancel()
    await asyncio.sleep(0)
    assert late[1].done()


@with_writer
async def test_nothing_is_written_for_nothing(writer, transport):
    assert writer.write(b"").done()
    writer.write(large())
    writer.write(b"")
    assert b"" not in transport.pieces[1:]


@with_writer
async def test_a_large_piece_goes_in_slices_by_reference(writer, transport):
    data = large()
    future = writer.write(data)
    assert not future.done()
    assert writer.holds
    assert all(len(piece) <= WRITE_SIZE and piece.obj is data for piece in transport.pieces)
    assert transport.held <= transport.room + WRITE_SIZE
    assert writer.unsent == len(data)
    while transport.held:
        transport.take(1000)
    assert transport.data == data
    assert (future.done(), writer.holds, writer.unsent, writer.sent) == (True, False, 0, len(data))


@with_writer
async def test_what_comes_behind_a_large_piece_waits_for_it(writer, transport):
    data = large()
    writer.write(data)
    futures = [writer.write(piece) for piece in (b"one", bytearray(b"two"), memoryview(b"three"))]
    assert not any(future.done() for future in futures)
    while transport.held:
        transport.take(10_000)
    assert transport.data == data + b"onetwothree"
    assert all(future.done() for future in futures)


@with_writer
async def test_who_waits_is_told_when_there_is_room(writer, transport):
    writer.pause()
    future = writer.write(b"x")
    assert not future.done()
    assert writer.holds
    writer.resume()
    assert transport.pieces == []
    writer.go_on()
    assert transport.pieces == [b"x"]
    assert future.done()
    assert writer.when_room().done()


@with_writer
async def test_what_is_written_for_a_slow_client_is_joined(writer, transport):
    """From Python 3.12 on asyncio adds up the sizes of all unsent pieces at every write."""
    writer.pause()
    for _ in range(WRITE_SIZE // 1000):
        future = writer.write(bytearray(b"x" * 1000))
    writer.write(b"y" * 1000)  # no room is left in the first
    assert (writer.holds, writer.unsent, transport.pieces) == (True, WRITE_SIZE // 1000 * 1000 + 1000, [])
    writer.resume()
    writer.go_on()
    assert [len(piece) for piece in transport.pieces] == [WRITE_SIZE // 1000 * 1000, 1000]
    assert future.done()
    assert transport.data.count(b"x") == WRITE_SIZE // 1000 * 1000


@with_writer
async def test_a_resume_that_ends_in_a_pause_wakes_nobody(writer, transport):
    future = writer.write(large(8))
    writer.resume()
    writer.go_on()
    assert writer.paused
    assert not future.done()


@with_writer
async def test_each_who_waits_may_give_up_alone(writer, transport):
    writer.pause()
    futures = [writer.when_room() for _ in range(3)]
    futures[1].cancel()
    writer.resume()
    assert [future.cancelled() for future in futures] == [False, True, False]
    assert futures[0].result() is futures[2].result() is None
    writer.pause()
    futures = [writer.when_room() for _ in range(3)]
    futures[0].cancel()
    writer.close()
    assert [future.cancelled() for future in futures] == [True, False, False]


@with_writer
async def test_who_gives_up_leaves_nothing_behind(writer, transport):
    writer.pause()
    for _ in range(1000):
        writer.when_room().cancel()
    await asyncio.sleep(0)
    assert len(writer._waiters) < 100


@with_writer
async def test_close_tells_who_waits_and_keeps_nothing(writer, transport):
    complaints = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    waiting, ignored = writer.write(large()), writer.when_room()
    writer.close()
    del ignored
    for future in (waiting, writer.write(b"x"), writer.write(large()), writer.when_room()):
        assert future.done()
        with pytest.raises(StreamClosedError):
            await future
    assert (writer.closed, writer.holds) == (True, False)
    del waiting, future
    writer.write(b"x")  # nobody looks at the result
    await asyncio.sleep(0)
    assert not complaints
    writer.close()


@with_writer
async def test_nothing_is_written_to_a_transport_that_closes(writer, transport):
    transport.closing = True
    for data in (b"x", large()):
        assert isinstance(writer.write(data).exception(), StreamClosedError)


class Part(FilePart):
    """A file that must not go out."""

    def __init__(self):
        self.left = 10
        self.closed = False

    def bind(self, *told):
        pass

    def send(self):
        pytest.fail("its head has not gone out")

    def close(self):
        self.closed = True


@with_writer
async def test_no_file_goes_out_behind_a_head_whose_write_failed(writer, transport):
    """The transport is closing and holds nothing; that the connection is lost, it reports a moment later."""
    part = Part()
    writer.write(b"the head")
    transport.held, transport.closing = 0, True
    writer.write_file(part, writer.resume, lambda: None)
    writer.resume()
    assert writer.unsent == part.left
    writer.close()
    assert part.closed


@with_writer
async def test_the_room_is_asked_again_after_each_write(writer, transport):
    for _ in range(10):
        future = writer.write(large(2))
        transport.take(10**9)
        while writer.holds:
            transport.take(10**9)
        assert future.done()
    assert transport.data == large(2) * 10


@with_writer
async def test_all_that_was_written_goes_with_the_transport(writer, transport):
    waiting = writer.write(large() + b"end")
    writer.write(b"behind")
    writer.hand_over()
    assert transport.data == large() + b"endbehind"
    await waiting
    assert (writer.closed, writer.holds) == (True, False)
    assert writer.unsent == transport.held


@pytest.mark.parametrize("left", [True, False])
def test_from_a_file_on_it_does_not_nor_when_the_client_has_left(left):
    @with_writer
    async def hand_over(writer, transport):
        part, waiting = Part(), writer.write(large())
        gone, transport.closing = len(transport.data), left
        writer.write_file(part, writer.resume, lambda: None)
        behind = writer.when_room()
        writer.hand_over()
        assert transport.data == large()[: gone if left else None]
        assert part.closed
        for future in (waiting, behind):
            assert isinstance(future.exception(), StreamClosedError)

    hand_over()
