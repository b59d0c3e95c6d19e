"""Files sent by sendfile, on a bare socket and as pieces of replies."""

import asyncio
import errno
import math
import os
import socket
import threading
from contextlib import contextmanager, suppress

import pytest
from tornado.httputil import HTTPHeaders, ResponseStartLine
from tornado.iostream import StreamClosedError
from tornado.log import gen_log

from tests.waterspout.http.harness import GET, Delegate, answering, on_loops, serve, until
from tests.waterspout.tls import tls_contexts
from waterspout.http import HTTPSettings, sendfile
from waterspout.http.sendfile import FilePart
from waterspout.limits import MIB, SENDFILE_PIECE
from waterspout.logs.tally import Tally

SIZE = 8 * MIB
CONTENT = os.urandom(MIB) * 8


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("files") / "file"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture(autouse=True)
def no_descriptor_is_left():
    before = files_and_sockets()
    yield
    assert files_and_sockets() == before


def files_and_sockets():
    """What is open here, without the loops' own pipes and the like, which libuv keeps."""
    names = []
    for descriptor in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):
            names.append(os.readlink(f"/proc/self/fd/{descriptor}"))
    return sorted(name for name in names if name.startswith("socket:") or name.endswith(("/file", "/short")))


# --- a part alone ----------------------------------------------------------------------------------------


@contextmanager
def part_of(path, offset=0, size=SIZE):
    """(part, the other end of its socket, what it has reported)."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    told = {"sent": 0, "room": 0, "failures": []}

    def count(name, by=1):
        told[name] += by

    with ours, theirs:
        part = FilePart(path.open("rb", buffering=0), offset, size, ours.fileno())
        part.bind(lambda size: count("sent", size), lambda: count("room"), told["failures"].append)
        try:
            yield part, theirs, told
        finally:
            part.close()


async def read(sock, size):
    received = b""
    while len(received) < size and (data := await asyncio.get_running_loop().sock_recv(sock, MIB)):
        received += data
    return received


@on_loops
async def test_a_part_goes_out_as_the_socket_takes_it(path):
    with part_of(path, 1000, 4 * MIB) as (part, theirs, told):
        assert not part.send()
        assert 0 < part.sent < 4 * MIB
        assert await read(theirs, 4 * MIB) == CONTENT[1000 : 1000 + 4 * MIB]
        await until(lambda: told["room"])
        assert part.send()
        assert told == {"sent": 4 * MIB, "room": 1, "failures": []}
        assert (part.sent, part.left) == (4 * MIB, 0)


@on_loops
async def test_a_part_that_fits_is_sent_at_once(path):
    with part_of(path, 0, 1000) as (part, theirs, told):
        assert part.send()
        assert told == {"sent": 1000, "room": 0, "failures": []}
        assert await read(theirs, 1000) == CONTENT[:1000]


@on_loops
async def test_a_file_that_became_shorter_fails(tmp_path):
    short = tmp_path / "short"
    short.write_bytes(b"x" * 10)
    with part_of(short, 0, 20) as (part, _theirs, told):
        assert not part.send()
        await until(lambda: part.send() or told["failures"])
        assert told["sent"] == 10
        assert told["failures"] == [f"{str(short)!r} became shorter while it was being sent"]


@on_loops
async def test_a_socket_that_is_gone_fails(path):
    with part_of(path) as (part, theirs, told):
        theirs.close()
        assert not part.send()
        assert told["failures"] == [""]


@on_loops
@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM])
async def test_where_there_is_no_sendfile_the_part_is_copied(path, monkeypatch, number):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "sendfile", refuse)
    with part_of(path, 1000, 4 * MIB) as (part, theirs, told):
        assert not part.send()
        assert await read(theirs, 4 * MIB) == CONTENT[1000 : 1000 + 4 * MIB]
        await until(lambda: told["room"])
        assert told == {"sent": 4 * MIB, "room": 1, "failures": []}


@on_loops
@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE])
async def test_a_file_that_the_system_fails_to_read_is_named(path, monkeypatch, number):
    def fail(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "sendfile", fail)
    with part_of(path) as (part, _theirs, told):
        assert not part.send()
        assert told["failures"] == [f"{str(path)!r} can't be read: [Errno {number}] {os.strerror(number)}"]


class UnwatchingLoop:
    """Stands in for a loop whose kernel watches no more descriptors (`fs.epoll.max_user_watches`)."""

    def add_writer(self, *_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@on_loops
async def test_a_socket_that_can_t_be_watched_fails(path):
    with part_of(path) as (part, _theirs, told):
        part.loop = UnwatchingLoop()
        assert not part.send()
        assert told["failures"] == [f"{str(path)!r} can't be sent: [Errno 28] No space left on device"]


@on_loops
async def test_a_closed_part_sends_no_more(path):
    with part_of(path) as (part, theirs, told):
        part.send()
        part.close()
        sent = part.sent
        assert len(await read(theirs, sent)) == sent
        assert not part.send()
        assert part.sent == sent
        assert told["failures"] == []


class ColdDisk:
    """Stands in for the calls to the system: nothing is in memory until it has been read ahead."""

    def __init__(self, monkeypatch, error=None):
        self.read = []
        self.error = error
        self._warm = -1
        monkeypatch.setattr(sendfile, "_is_cold", lambda file, position: position > self._warm)
        monkeypatch.setattr(sendfile, "_read_ahead", self._read_ahead)

    def _read_ahead(self, file, offset, size):
        if self.error:
            raise self.error
        self.read.append((offset, size))
        self._warm = offset + size - 1


@on_loops
async def test_a_thread_waits_for_the_disk(path, monkeypatch):
    disk = ColdDisk(monkeypatch)
    with part_of(path, 0, 3 * SENDFILE_PIECE) as (part, theirs, told):
        assert not part.send()
        assert part.sent == 0
        assert await read(theirs, 3 * SENDFILE_PIECE) == CONTENT[: 3 * SENDFILE_PIECE]
        await until(lambda: told["room"])
        assert part.send()
    assert len(disk.read) >= 3


@on_loops
async def test_a_part_that_fits_once_it_is_read_tells_that_it_is_sent(path, monkeypatch):
    ColdDisk(monkeypatch)
    with part_of(path, 0, 1000) as (part, theirs, told):
        assert not part.send()
        await until(lambda: told["room"])
        assert told == {"sent": 1000, "room": 1, "failures": []}
        assert await read(theirs, 1000) == CONTENT[:1000]


@pytest.fixture
def without_threads(monkeypatch):
    """The threads that were to be started. None can be, and earlier failures are forgotten."""
    tried = []

    def refuse(thread):
        tried.append(thread)
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    monkeypatch.setattr(FilePart, "no_threads_until", -math.inf)
    monkeypatch.setattr(sendfile, "_unread", Tally(60))
    return tried


@on_loops
async def test_where_no_thread_can_be_started_the_loop_waits_for_the_disk(
    path, monkeypatch, without_threads, caplog
):
    disk = ColdDisk(monkeypatch)
    with part_of(path, 0, 4 * SENDFILE_PIECE) as (part, theirs, told):
        assert not part.send()
        assert await read(theirs, 4 * SENDFILE_PIECE) == CONTENT[: 4 * SENDFILE_PIECE]
        await until(lambda: told["room"])
        assert part.send()
        assert (told["failures"], disk.read) == ([], [])
    assert len(without_threads) == 1
    assert caplog.text.count("can't start new thread: the event loop itself waits for files") == 1
    monkeypatch.undo()
    disk = ColdDisk(monkeypatch)
    monkeypatch.setattr(FilePart, "no_threads_until", asyncio.get_running_loop().time() - 0.01)
    with part_of(path, 0, SENDFILE_PIECE) as (part, theirs, told):
        part.send()
        await read(theirs, SENDFILE_PIECE)
    assert (0, SENDFILE_PIECE) in disk.read


@on_loops
async def test_a_part_that_is_closed_while_a_thread_reads_keeps_its_file_until_then(path, monkeypatch):
    ColdDisk(monkeypatch)
    with part_of(path) as (part, _theirs, told):
        part.send()
        file = part._file
        part.close()
        assert not file.closed
        await until(lambda: file.closed)
        assert told == {"sent": 0, "room": 0, "failures": []}


@on_loops
async def test_a_disk_that_fails_fails_the_part(path, monkeypatch):
    ColdDisk(monkeypatch, OSError(errno.EIO, "a broken disk"))
    with part_of(path) as (part, _theirs, told):
        part.send()
        await until(lambda: told["failures"])
    [reason] = told["failures"]
    assert reason == f"{str(path)!r} can't be read: [Errno {errno.EIO}] a broken disk"


def test_a_hint_that_is_refused_is_no_failure(path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "posix_fadvise", refuse)
    with path.open("rb", buffering=0) as file:
        sendfile._read_ahead(file, 0, MIB)


def test_what_was_just_written_is_in_memory_and_can_be_read_ahead(path):
    with path.open("rb", buffering=0) as file:
        sendfile._read_ahead(file, 0, MIB)
        assert not sendfile._is_cold(file, 0)
        assert not sendfile._is_cold(file, 10 * SIZE)


# --- as a piece of a reply -------------------------------------------------------------------------------


def begin(exchange, length=SIZE):
    fields = {} if length is None else {"Content-Length": str(length)}
    return exchange.write_headers(ResponseStartLine("", 200, "OK"), HTTPHeaders(fields))


def sending(path, parts, before=b"", after=b""):
    """A delegate that answers with the file between `before` and `after`."""

    def answer(exchange):
        begin(exchange, len(before) + SIZE + len(after))
        if before:
            exchange.write(before)
        parts.append(exchange.write_file(path.open("rb", buffering=0), 0, SIZE))
        if after:
            exchange.write(after)
        exchange.finish()

    return answering(answer)


@on_loops
@pytest.mark.parametrize("size", [10, 200_000])
async def test_what_is_written_before_and_behind_a_file_stays_there(path, size):
    before, after = b"<" * size, b">" * size
    async with serve(sending(path, [], before, after)) as served, served.client() as client:
        client.send(GET + GET)  # the second must wait until the first reply is out
        for _ in range(2):
            _, _, body = await client.read_reply()
            assert body == before + CONTENT + after


@on_loops
async def test_writes_wait_until_the_file_is_out(path):
    waits = []

    def answer(exchange):
        begin(exchange)
        exchange.write_file(path.open("rb", buffering=0), 0, SIZE)
        waits.append(exchange.write(b""))

    async with serve(answering(answer)) as served, served.client() as client:
        client.send(GET)
        await until(lambda: waits)
        assert not waits[0].done()
        await client.head()
        assert await client.reader.readexactly(SIZE) == CONTENT
        await until(lambda: waits[0].done())
        served.delegates[0].exchange.finish()
        client.send(GET)
        await until(lambda: len(waits) == 2)


@on_loops
async def test_a_client_that_leaves_ends_the_sending(path):
    parts, waits = [], []

    class Waiting(Delegate):
        def answer(self):
            begin(self.exchange)
            parts.append(self.exchange.write_file(path.open("rb", buffering=0), 0, SIZE))
            waits.append(self.exchange.write(b""))

    async with serve(Waiting) as served:
        async with served.client(receive=4096) as client:
            client.send(GET)
            await client.head()
            client.reset()
        await until(lambda: "left" in served.delegates[0].events)
        assert isinstance(waits[0].exception(), StreamClosedError)
        assert parts[0].left > 0


@on_loops
async def test_a_client_that_takes_nothing_is_cut_and_one_that_is_slow_is_not(path, caplog):
    caplog.set_level("INFO", gen_log.name)
    settings = HTTPSettings(write_timeout=1)
    async with serve(sending(path, []), settings=settings) as served:
        async with served.client(receive=4096) as client:
            client.send(GET)
            await client.head()
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                await asyncio.sleep(2.2)
                await client.reader.readexactly(SIZE)
        assert "nothing of its reply" in caplog.text
        caplog.clear()
        async with served.client(receive=65536) as client:
            client.send(GET)
            await client.head()
            for _ in range(6):
                await asyncio.sleep(0.3)
                await client.reader.readexactly(MIB)
        assert "nothing of its reply" not in caplog.text


@on_loops
async def test_a_file_that_became_shorter_cuts_the_connection(path, tmp_path, caplog):
    short = tmp_path / "short"
    short.write_bytes(b"x" * 10)
    async with serve(sending(short, [])) as served, served.client() as client:
        client.send(GET)
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await client.read_reply()
    said = f"GET / (127.0.0.1): {str(short)!r} became shorter while it was being sent; the reply is cut off"
    assert said in caplog.text


@on_loops
async def test_where_it_can_not_be_nothing_is_done(path):
    answers = []

    def answer(exchange):
        begin(exchange, None)  # chunked
        with path.open("rb", buffering=0) as file:
            answers.append(exchange.write_file(file, 0, SIZE))
        exchange.finish()

    async with serve(answering(answer)) as served, served.client() as client:
        client.send(GET)
        assert (await client.read_reply())[2] == b""
    assert answers == [None]


async def find_refused(path, size):
    """What `write_file` returns for `size` bytes in a reply of five bytes, which are then written."""
    answers = []

    def answer(exchange):
        begin(exchange, 5)
        with path.open("rb", buffering=0) as file:
            answers.append(exchange.write_file(file, 0, size))
        exchange.write(b"12345")
        exchange.finish()

    async with serve(answering(answer)) as served, served.client() as client:
        client.send(GET)
        assert (await client.read_reply())[2] == b"12345"
    return answers


@on_loops
async def test_without_a_descriptor_for_it_nothing_is_done(path, monkeypatch):
    def refuse(_):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(os, "dup", refuse)
    assert await find_refused(path, 5) == [None]


@on_loops
async def test_a_file_is_no_longer_than_the_reply_s_length(path):
    assert await find_refused(path, 6) == [None]


@on_loops
async def test_over_tls_no_file_is_sent_past_the_keys(path):
    answers = []

    def answer(exchange):
        begin(exchange, 0)
        with path.open("rb", buffering=0) as file:
            answers.append((exchange.sends_files, exchange.write_file(file, 0, 0)))
        exchange.finish()

    inward, outward = tls_contexts()
    serving = serve(answering(answer), ssl_options=inward)
    async with serving as served, served.client(ssl=outward) as client:
        client.send(GET)
        await client.read_reply()
    assert answers == [(False, None)]
