"""A peer that has hung up is noticed before what it sent has been read."""

import select
import socket
import struct

import pytest

from tests.server import poll
from waterspout.system.hangup import has_hung_up


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


def test_of_what_is_closed_or_no_socket_nobody_tells(monkeypatch):
    sock = socket.socket()
    sock.close()
    assert not has_hung_up(sock)
    assert not has_hung_up(None)
    monkeypatch.delattr(select, "poll")  # Windows
    with socket.socket() as sock:
        assert not has_hung_up(sock)
