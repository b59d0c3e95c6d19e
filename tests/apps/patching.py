"""Replaces sockets and `os.read` as it is imported, like libraries do that use gevent or eventlet without
their threads (grequests).
"""

import os
import select
import socket

from tornado.web import RequestHandler

from tests.apps.table import TEXT, Table

app = Table()
_socket, _read = socket.socket, os.read


class GreenSocket:
    """Not a subclass, as theirs are not. Never blocks in the kernel, and waits though it is told not to."""

    def __init__(self, *arguments, **options):
        self._sock = _socket(*arguments, **options)
        self._timeout = self._sock.gettimeout()
        self._sock.setblocking(False)

    def __getattr__(self, name):
        return getattr(self._sock, name)

    def setblocking(self, flag):
        self._timeout = None if flag else 0.0

    def settimeout(self, seconds):
        self._timeout = seconds

    def recv(self, *arguments):
        if self._timeout != 0.0:
            select.select([self._sock], [], [], self._timeout)
        return self._sock.recv(*arguments)


def read(descriptor, size):
    select.select([descriptor], [], [])
    return _read(descriptor, size)


socket.socket, os.read = GreenSocket, read


@app.view
def stream(environ, start_response):
    """The body in pieces, as it is read."""
    start_response("200 OK", TEXT)
    return iter(lambda: environ["wsgi.input"].read(50_000), b"")


class Green(RequestHandler):
    def get(self):
        self.write("green")


routes = [("/green", Green)]
