"""SIGTERM in the middle of everything: what runs is finished, the exit status is 0."""

import hashlib
import signal
import time

import pytest

from tests.server import new_id, poll

pytestmark = pytest.mark.faults

MIB = 1 << 20
SERVE = ("--native", "tests.apps.natives:routes", "--wsgi", "tests.apps.hanging:app")


def test_requests_a_download_and_an_upload_are_finished(start_server, form):
    server = start_server(*SERVE, form=form)
    requests = []
    for _ in range(3):
        ident, connection = new_id(), server.connect()
        connection.send_request("GET", f"/gated?id={ident}")
        server.wait_for_note("ran", ident)
        requests.append((ident, connection))
    download = server.connect(receive_buffer=65536)
    download.send_request("GET", f"/large?mib=24&id={new_id()}")
    head = download.head()
    upload, ident, body = server.connect(), new_id(), b"u" * MIB
    upload.send_head("POST", f"/reading?id={ident}", [("Content-Length", str(8 * MIB))])
    upload.send(body)
    server.wait_for_note("ran", ident)
    server.signal(signal.SIGTERM)
    time.sleep(0.3)
    assert server.process.poll() is None
    for _ in range(7):
        upload.send(body)
    assert upload.reply().text == f"{8 * MIB}"
    assert hashlib.sha256(download.body_of(head).body).digest() == hashlib.sha256(bytes(24 * MIB)).digest()
    for ident, connection in requests:
        server.open_gate(ident)
        assert connection.reply().text == f"done {ident}"
    assert server.wait() == 0
    assert poll(lambda: not server.session_pids())


def test_a_stop_does_not_wait_for_views_that_were_given_up(start_server, form):
    server = start_server(*SERVE, "--wsgi-timeout", "0.4", form=form)
    ident, connection = new_id(), server.connect()
    connection.send_request("GET", f"/stuck?id={ident}")
    assert connection.reply().status == 504
    began = time.monotonic()
    server.signal(signal.SIGTERM)
    assert server.wait() == 0
    assert time.monotonic() - began < 15  # of the 30 that the graceful timeout gives
