"""Accepting by hand, and a shortage of descriptors. With a whole server: tests/faults/test_descriptors.py."""

import asyncio
import errno
import os
import socket

import pytest
from tornado.ioloop import IOLoop

from waterspout.http.accepting import Acceptor, Listener, Shortage
from waterspout.http.counting import Connections
from waterspout.limits import EXHAUSTED_PAUSE
from waterspout.system.garbage import collector

pytestmark = pytest.mark.gen_test(timeout=10)


class Exhausted(socket.socket):
    """A listening socket that can accept nobody for a while."""

    tries = 0
    refusals = 2
    number = errno.EMFILE

    def accept(self):
        self.tries += 1
        if self.tries <= self.refusals:
            raise OSError(self.number, os.strerror(self.number))
        return super().accept()


@pytest.fixture
def listener():
    with Exhausted() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        yield sock


async def connect(listener):
    return await asyncio.open_connection(*listener.getsockname())


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EPERM, errno.EPROTO])
async def test_who_comes_when_nothing_is_left_or_nobody_may_waits(listener, number, caplog, monkeypatch):
    monkeypatch.setattr(collector, "collect", lambda: False)  # it may have been asked a moment ago
    listener.number = number
    accepted, exhausted = asyncio.get_running_loop().create_future(), []
    acceptor = Acceptor(
        IOLoop.current(),
        listener,
        lambda sock, address: accepted.set_result((sock, address)),
        on_exhausted=exhausted.append,
    )
    _, writer = await connect(listener)
    sock, address = await accepted
    assert listener.tries >= 3
    assert address == writer.get_extra_info("sockname")
    assert not sock.getblocking()
    said = [record.getMessage() for record in caplog.records if "can't be accepted" in record.getMessage()]
    if number == errno.EMFILE:
        assert (said, [error.errno for error in exhausted]) == ([], [number] * listener.refusals)
    else:  # for as long as it lasts, it is not logged twice a second
        assert (len(said), exhausted) == (1, [])
    acceptor.stop()
    writer.close()
    sock.close()


async def test_nothing_is_exhausted_if_garbage_held_the_last_descriptors(listener, monkeypatch):
    monkeypatch.setattr(collector, "collect", lambda: True)
    accepted = asyncio.get_running_loop().create_future()
    acceptor = Acceptor(
        IOLoop.current(),
        listener,
        lambda sock, _: accepted.set_result(sock),
        on_exhausted=lambda error: pytest.fail("exhausted"),
    )
    _, writer = await connect(listener)
    (await accepted).close()
    acceptor.stop()
    writer.close()


async def test_a_closed_acceptor_asks_no_more(listener, monkeypatch):
    monkeypatch.setattr(collector, "collect", lambda: False)
    acceptor = Acceptor(IOLoop.current(), listener, lambda sock, address: pytest.fail("accepted"))
    listener.refusals = 100
    _, writer = await connect(listener)
    await asyncio.sleep(0.1)
    acceptor.stop()
    await asyncio.sleep(0.7)
    assert listener.tries == 1
    writer.close()


@pytest.mark.parametrize(("call", "number"), [("setsockopt", errno.EINVAL), ("setblocking", errno.ENOMEM)])
async def test_who_can_t_be_served_is_let_go_and_the_next_one_served(listener, monkeypatch, call, number):
    """On macOS, setting a socket's options fails once its client has left."""
    accepted, refused = asyncio.get_running_loop().create_future(), []
    listener.refusals = 0
    clients = [socket.create_connection(listener.getsockname()) for _ in range(2)]
    acceptor = Acceptor(IOLoop.current(), listener, lambda sock, _: accepted.set_result(sock))
    original = getattr(socket.socket, call)

    def refuse_first(sock, *option):
        if not refused:
            refused.append(sock)
            raise OSError(number, os.strerror(number))
        return original(sock, *option)

    monkeypatch.setattr(socket.socket, call, refuse_first)
    sock = await accepted
    acceptor.stop()
    assert [sock.fileno() for sock in refused] == [-1]
    assert clients[0].recv(1) == b""
    for each in (sock, *clients):
        each.close()


async def test_nothing_has_to_be_opened_to_see_that_there_is_room(listener, monkeypatch):
    """A server in a folder that is its root (chroot) may have no /dev/null."""
    monkeypatch.setattr(os, "devnull", "/nowhere")
    listener.refusals = 0
    accepted = asyncio.get_running_loop().create_future()
    acceptor = Acceptor(
        IOLoop.current(), listener, lambda sock, _: accepted.set_result(sock), find_most=lambda: 500
    )
    _, writer = await connect(listener)
    (await accepted).close()
    acceptor.stop()
    writer.close()


async def test_a_protocol_is_started_on_each_connection(listener):
    class Greeter(asyncio.Protocol):
        def connection_made(self, transport):
            transport.write(b"hello")
            transport.close()

    listener.refusals = 0
    plain = Listener(IOLoop.current(), listener, Greeter)
    for _ in range(2):
        reader, writer = await connect(listener)
        assert await reader.read() == b"hello"
        writer.close()
    plain.close()


@pytest.mark.parametrize(("number", "said"), [(errno.EINVAL, 0), (errno.ENOSPC, 1)])
async def test_a_connection_that_can_t_be_served_is_told_unless_the_client_has_left(
    listener, monkeypatch, caplog, number, said
):
    """As on macOS, where asyncio's own setsockopt fails once the client has left."""

    async def fail(*_):
        raise OSError(number, os.strerror(number))

    listener.refusals = 0
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "connect_accepted_socket", fail)
    plain = Listener(IOLoop.current(), listener, asyncio.Protocol)
    reader, writer = await connect(listener)
    assert await reader.read() == b""
    assert len(caplog.messages) == said
    writer.close()
    plain.close()


async def test_a_shortage_is_said_once_in_a_while(caplog):
    shortage = Shortage(lambda: Connections(1012, 12, 1024), lambda: "http://127.0.0.1:8888")
    error = OSError(errno.EMFILE, "Too many open files")
    for now in (1.0, 2.0, EXHAUSTED_PAUSE, EXHAUSTED_PAUSE + 2.0):
        shortage.tell(error, now)
    assert len(caplog.messages) == 2
    assert "accepted at http://127.0.0.1:8888: Too many open files (1012 connections" in caplog.messages[0]
    assert "connections are open, ulimit -n is 1024; logged" in caplog.messages[0]


async def test_a_shortage_without_a_limit_is_said_as_well(caplog):
    error = OSError(errno.ENFILE, "Too many open files in system")
    Shortage(lambda: Connections(1, None, None), lambda: "unix:/x").tell(error, EXHAUSTED_PAUSE)
    assert "accepted at unix:/x: Too many open files in system (1 connection" in caplog.messages[0]
    assert "is open, ulimit -n is unlimited; logged" in caplog.messages[0]
