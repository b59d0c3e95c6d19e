"""Pings at an interval, and what becomes of a client that does not answer."""

import asyncio
import time

import pytest

from tests.waterspout.websocket.serving import FORMS, scenario
from waterspout.websocket.keepalive import KeepAlive, bounded_timeout


@pytest.fixture(params=FORMS[:1], ids=lambda form: form.name)
def form(request):
    return request.param


class Connection:
    is_behind = False

    def __init__(self):
        self.calls = []

    def write_ping(self, data):
        self.calls.append(("ping", data))

    def close(self, code=None, reason=None):
        self.calls.append((code, reason))


@pytest.mark.parametrize(
    ("timeout", "interval", "bounded"), [(None, 5, 5), (2, 5, 2), (5, 5, 5), (7, 5, 5), (0, 5, 0)]
)
def test_the_timeout_is_at_most_the_interval(timeout, interval, bounded):
    assert bounded_timeout(timeout, interval) == bounded


def test_a_timeout_that_is_too_long_is_said_once(caplog):
    for _ in range(3):
        bounded_timeout(70, 60)
    assert len(caplog.records) == 1
    assert "cannot be longer" in caplog.text


@scenario
async def test_silence_closes(form):
    connection = Connection()
    KeepAlive(connection, 0.02, 0.01)
    while len(connection.calls) < 2:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
    assert connection.calls == [("ping", b""), (None, "ping timed out")]


@scenario
@pytest.mark.parametrize("timeout", [None, 0.01])
async def test_who_answers_is_asked_again(form, timeout):
    connection = Connection()
    alive = KeepAlive(connection, 0.02, timeout)
    connection.write_ping = lambda data: (connection.calls.append("ping"), alive.on_pong())
    begun = time.monotonic()
    while len(connection.calls) < 5:
        await asyncio.sleep(0.01)
    alive.stop()
    asked = len(connection.calls)
    assert connection.calls == ["ping"] * asked
    assert asked <= (time.monotonic() - begun) / 0.02 + 1
    await asyncio.sleep(0.05)
    assert len(connection.calls) == asked


@scenario
async def test_without_a_timeout_it_only_asks(form):
    connection = Connection()
    alive = KeepAlive(connection, 0.01, 0)
    while len(connection.calls) < 5:
        await asyncio.sleep(0.01)
    alive.stop()
    assert set(connection.calls) == {("ping", b"")}


@scenario
async def test_what_has_not_been_looked_at_may_be_a_pong(form):
    connection = Connection()
    connection.is_behind = True
    alive = KeepAlive(connection, 0.02, None)
    await asyncio.sleep(0.1)
    assert (None, "ping timed out") not in connection.calls
    connection.is_behind = False
    while connection.calls[-1] != (None, "ping timed out"):
        await asyncio.sleep(0.01)
    alive.stop()
