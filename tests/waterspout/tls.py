"""TLS for tests that speak to real sockets."""

import contextlib
import os
import socket
import ssl
from pathlib import Path

import tornado.test


def tls_contexts():
    """A server's context with the certificate of Tornado's own tests, and a client's that accepts it."""
    folder = Path(tornado.test.__file__).parent
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(folder / "test.crt", folder / "test.key")
    client = ssl.create_default_context()
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    return server, client


def end_below(writer):
    """End the sending side of a client's connection below TLS, without a close_notify: as the kernel does for
    a process that is killed.
    """
    with socket.socket(fileno=os.dup(writer.get_extra_info("socket").fileno())) as sock:
        sock.shutdown(socket.SHUT_WR)


def deaf_client(port, sent):
    """A client's socket, past its handshake (which blocks), that has sent `sent`; it reads nothing."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
    raw.connect(("127.0.0.1", port))
    _, context = tls_contexts()
    secure = context.wrap_socket(raw)
    secure.sendall(sent)
    secure.setblocking(False)
    return secure


def say_goodbye(secure):
    """Send a close_notify, and read nothing."""
    with contextlib.suppress(ssl.SSLError):  # it asks for the server's
        secure.unwrap()


def say_nothing(secure):
    """End the sending side below TLS."""
    with socket.socket(fileno=os.dup(secure.fileno())) as sock:
        sock.shutdown(socket.SHUT_WR)
