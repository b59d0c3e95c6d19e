"""The two ends of a client's connection, as the app is told of them."""

import socket
from types import SimpleNamespace

import pytest

from waterspout.wsgi.ends import find_ends


def connection(sock, *, protocol="http", remote_ip="192.0.2.7", address=("192.0.2.7", 50000)):
    context = SimpleNamespace(protocol=protocol, remote_ip=remote_ip, address=address)
    return SimpleNamespace(context=context, stream=None if sock is None else SimpleNamespace(socket=sock))


@pytest.mark.parametrize(("protocol", "port"), [("http", "80"), ("https", "443")])
def test_who_came_in_by_no_port_came_by_the_scheme_s(protocol, port):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ends = find_ends(connection(ours, protocol=protocol, remote_ip="0.0.0.0", address=""))
    assert ends == (protocol, "0.0.0.0", "", "localhost", port)
    assert find_ends(connection(ours, protocol=protocol))[3:] == ("localhost", port)  # closed
    assert find_ends(connection(None, protocol=protocol))[3:] == ("localhost", port)


def test_who_came_in_by_a_port_came_by_that():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        ends = find_ends(connection(sock))
        assert ends == ("http", "192.0.2.7", "50000", "127.0.0.1", str(sock.getsockname()[1]))


def test_they_are_found_once_and_again_when_a_proxy_speaks_for_another_client():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        served = connection(sock)
        first = find_ends(served)
        assert find_ends(served) is first
        served.context.remote_ip, served.context.protocol = "198.51.100.1", "https"
        assert find_ends(served)[:2] == ("https", "198.51.100.1")
        served.context.remote_ip, served.context.protocol = "192.0.2.7", "http"
        assert find_ends(served) == first
