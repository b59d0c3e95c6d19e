"""SIGHUP again and again under load: nothing is lost."""

import signal
import time
from contextlib import ExitStack

import pytest

from tests.faults.load import Load
from tests.server import poll
from tests.wire.test_drain import next_frame, open_websocket

pytestmark = pytest.mark.faults

RELOADS = 10


def say(connection, text):
    """Send one masked text frame; return its echo."""
    mask = b"\x01\x02\x03\x04"
    masked = bytes(byte ^ mask[place % 4] for place, byte in enumerate(text))
    connection.send(bytes([0x81, 0x80 | len(text)]) + mask + masked)
    return next_frame(connection)


def test_ten_reloads_lose_no_request_and_no_socket(start_server):
    server = start_server(
        *("--native", "tests.apps.natives:routes", "--wsgi", "tests.apps.publishing:app"),
        *("--wsgi-workers", "2", "--wsgi-threads", "4", "--no-access-log"),
    )
    socket, events = open_websocket(server), server.connect()
    events.send_request("GET", "/native/events?topic=reloads")
    head = events.head()
    assert b"ready" in events.next_chunk(head)
    seen = set(server.wsgi_pids())
    descriptors = server.descriptors()
    with ExitStack() as stack:
        loads = [
            stack.enter_context(Load(server, "/canary?id=1", 3)),
            stack.enter_context(Load(server, "/canary?id=2", 3, keeps=False)),
            stack.enter_context(Load(server, "/native/ping", 1)),
        ]
        for number in range(RELOADS):
            server.signal(signal.SIGHUP)
            assert len(server.log_lines("have taken over", 20, enough=number + 1)) == number + 1
            assert say(socket, b"still there?") == (1, b"heard still there?")
            time.sleep(0.1)
            seen |= set(server.wsgi_pids())
    for load in loads:
        assert set(load.told) == {200}
        assert load.told[200] > 50
    assert len(seen) >= 2 * RELOADS
    assert poll(lambda: len(server.wsgi_pids()) == 2, 10)
    assert poll(lambda: server.descriptors() == descriptors), "descriptors are left open"
    assert events.is_silent(0.1)
    server.stop()
