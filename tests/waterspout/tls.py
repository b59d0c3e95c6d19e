"""TLS for tests that speak to real sockets."""

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
