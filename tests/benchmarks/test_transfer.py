"""Large bodies into and out of the Flask app, on wsgiref's server; and incomplete replies."""

import contextlib
import socket
import threading
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest

from benchmarks import transfer
from benchmarks.apps.flask_app import app
from benchmarks.transfer import MIB


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def port():
    with make_server("127.0.0.1", 0, app, handler_class=Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join(10)


@pytest.mark.parametrize("move", [transfer.upload, transfer.download], ids=["upload", "download"])
def test_a_body_arrives_whole(port, move):
    with socket.create_connection(("127.0.0.1", port), timeout=20) as sock:
        move(sock, 2 * MIB)


def talk(move, *said):
    """Run `move` against a server that sends `said` and leaves. It has room for all that is uploaded."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        sock, _ = listener.accept()
        with sock:
            sock.settimeout(20)
            received = b""
            while len(received) < expected:
                received += sock.recv(MIB)
            with contextlib.suppress(OSError):  # the client leaves when it has seen enough
                for piece in said:
                    sock.sendall(piece)
                sock.shutdown(socket.SHUT_WR)
                while sock.recv(MIB):  # closing it with unread data would reset it, and lose the reply
                    pass

    size = MIB
    expected = size if move is transfer.upload else 1
    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with listener, socket.create_connection(listener.getsockname(), timeout=20) as sock:
            move(sock, size)
    finally:
        thread.join(10)


OK = b"HTTP/1.1 200 OK\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("move", "said"),
    [
        (transfer.upload, [OK, b'{"size":5}']),
        (transfer.upload, [b"HTTP/1.1 413 Too Large\r\n\r\n"]),
        (transfer.upload, [OK]),
        (transfer.download, [OK, bytes(MIB - 1)]),
        (transfer.download, [CHUNKED, bytes(MIB + 100)]),
        (transfer.download, [b"HTTP/1.1 500 Oh\r\n\r\n", bytes(MIB)]),
    ],
)
def test_what_is_not_whole_is_an_error(move, said):
    with pytest.raises(ValueError):
        talk(move, *said)


def test_a_chunked_reply_has_its_end():
    talk(transfer.download, CHUNKED, bytes(MIB), b"\r\n", b"0\r\n\r\n")


def test_an_upload_s_answer_may_be_chunked():
    answer = b'{"size":%d}' % MIB
    talk(transfer.upload, CHUNKED, b"%x\r\n%b\r\n0\r\n\r\n" % (len(answer), answer))
