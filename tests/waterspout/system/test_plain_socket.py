"""Sockets of Python's own class, made of others."""

import socket

from waterspout.system.plain_socket import make_plain, open_plain


class Green:
    """Another class's socket."""

    def __init__(self, sock):
        self.detach = sock.detach


def test_whatever_stands_in_its_place_python_s_own_is_opened(pair, monkeypatch):
    near, far = pair
    own = type(near)
    monkeypatch.setattr(socket, "socket", Green)
    near.setblocking(False)
    with open_plain(near.detach()) as plain:
        assert type(plain) is own
        assert plain.gettimeout() is None
        plain.sendall(b"a")
    assert far.recv(2) == b"a"


def test_another_class_s_socket_is_taken_over(pair):
    near, far = pair
    number = near.fileno()
    near.setblocking(False)
    with make_plain(Green(near)) as plain:
        assert near.fileno() == -1
        assert (plain.fileno(), plain.gettimeout()) == (number, None)
        plain.sendall(b"a")
    assert far.recv(2) == b"a"


def test_python_s_own_is_as_it_was_and_blocks(pair):
    near, _ = pair
    near.setblocking(False)
    assert make_plain(near) is near
    assert near.gettimeout() is None
