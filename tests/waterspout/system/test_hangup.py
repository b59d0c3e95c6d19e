"""What a peer has done is noticed before it has been read."""

import select
import socket
import struct

import pytest

from tests.server import poll
from waterspout.system.hangup import has_closed, has_hung_up, is_readable


@pytest.mark.parametrize("how", ["close", "half_close", "reset"])
def test_it_is_told_before_anything_is_read(how):
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as theirs,
        server.accept()[0] as ours,
    ):
        theirs.send(b"unread")
        assert not has_hung_up(ours)
        if how == "half_close":
            theirs.shutdown(socket.SHUT_WR)
        else:
            if how == "reset":
                theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            theirs.close()
        assert poll(lambda: has_hung_up(ours))


def test_that_something_has_come_is_told_without_reading_it():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert not is_readable(ours)
        theirs.send(b"x")
        assert is_readable(ours)
        assert ours.recv(1) == b"x"
        assert not is_readable(ours)
        theirs.close()
        assert is_readable(ours)


def test_that_the_other_end_is_closed_is_no_half_of_a_close():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.send(b"unread")
        assert not has_closed(ours)
        theirs.shutdown(socket.SHUT_WR)
        assert not has_closed(ours)
        theirs.close()
        assert has_closed(ours)


@pytest.mark.parametrize("look", [has_closed, has_hung_up, is_readable])
def test_of_what_is_closed_or_no_socket_nobody_tells(look, monkeypatch):
    ours, theirs = socket.socketpair()
    theirs.close()
    assert look(ours)
    monkeypatch.delattr(select, "poll")  # Windows
    assert not look(ours)
    monkeypatch.undo()
    ours.close()
    assert not look(ours)
    assert not look(None)
