"""What a service manager is told."""

import asyncio
import os
import socket
import time

import pytest

from waterspout.serving.notifying import Notifier

pytestmark = pytest.mark.gen_test(timeout=20)


@pytest.fixture
def manager(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.settimeout(30)
        yield sock


async def test_nothing_is_told_where_nobody_asks():
    notifier = Notifier({})
    notifier.start()
    notifier.tell("READY=1")
    notifier.stop()


async def test_a_state_is_one_datagram(manager):
    Notifier({"NOTIFY_SOCKET": manager.getsockname()}).tell("READY=1")
    assert manager.recv(100) == b"READY=1"


async def test_an_abstract_name_begins_with_an_at():
    name = f"waterspout-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(f"\0{name}")
        sock.settimeout(10)
        Notifier({"NOTIFY_SOCKET": f"@{name}"}).tell("STOPPING=1")
        assert sock.recv(100) == b"STOPPING=1"


@pytest.mark.parametrize("path", ["", "/none/of/these", "relative", "x" * 200])
async def test_a_manager_that_can_t_be_reached_stops_nobody(path, caplog):
    Notifier({"NOTIFY_SOCKET": path}).tell("READY=1")
    assert ("to the service manager" in caplog.text) == bool(path)


async def test_signs_of_life_that_nobody_hears_are_said_once_a_minute(monkeypatch, caplog):
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    notifier = Notifier({"NOTIFY_SOCKET": "/none/of/these"})
    for _ in range(5):
        notifier.tell("WATCHDOG=1")
    assert caplog.text.count("can't send WATCHDOG=1") == 1
    now += 60.0
    notifier.tell("WATCHDOG=1")
    assert caplog.text.count("can't send WATCHDOG=1") == 2
    notifier.tell("STOPPING=1")
    assert "can't send STOPPING=1" in caplog.text


async def test_a_manager_that_does_not_read_holds_nobody_up(manager):
    notifier = Notifier({"NOTIFY_SOCKET": manager.getsockname()})
    for _ in range(5000):
        notifier.tell("WATCHDOG=1")


async def test_a_manager_that_is_busy_hears_that_we_are_ready_all_the_same(manager):
    notifier = Notifier({"NOTIFY_SOCKET": manager.getsockname()})
    for _ in range(5000):
        notifier.tell("WATCHDOG=1")
    notifier.tell("READY=1")
    heard = b""
    while heard != b"READY=1":
        heard = await asyncio.to_thread(manager.recv, 100)


async def test_signs_of_life_come_twice_as_often_as_they_are_wanted(manager):
    notifier = Notifier({"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "100000"})
    notifier.start()
    for _ in range(3):
        assert await asyncio.to_thread(manager.recv, 100) == b"WATCHDOG=1"
    notifier.stop()
    notifier.stop()
    manager.settimeout(0.3)
    with pytest.raises(TimeoutError):
        while True:
            await asyncio.to_thread(manager.recv, 100)


@pytest.mark.parametrize(
    "wanted",
    [{}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "soon"}, {"WATCHDOG_USEC": "100000", "WATCHDOG_PID": "1"}],
)
async def test_none_are_sent_to_who_wants_none_of_us(manager, wanted):
    notifier = Notifier({"NOTIFY_SOCKET": manager.getsockname()} | wanted)
    notifier.start()
    manager.settimeout(0.3)
    with pytest.raises(TimeoutError):
        await asyncio.to_thread(manager.recv, 100)
    notifier.stop()
