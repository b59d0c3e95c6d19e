"""A service manager that wants to be notified: systemd's Type=notify, and WatchdogSec."""

import time

import pytest

from tests.waterspout.serving.test_notifying import manager

__all__ = ["manager"]
SERVE = ("--native", "tests.apps.natives:routes", "--wsgi", "tests.apps.working:app")


def test_a_manager_is_told_when_it_serves_and_when_it_stops(start_server, manager, form):
    server = start_server(*SERVE, form=form, env={"NOTIFY_SOCKET": manager.getsockname()})
    assert manager.recv(100) == b"READY=1"
    server.canary()
    server.stop()
    assert manager.recv(100) == b"STOPPING=1"


def test_signs_of_life_stop_when_the_event_loop_does(start_server, manager):
    """This is what kills a server that a handler blocks forever."""
    wanted = {"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "400000"}
    server = start_server(*SERVE, env=wanted)
    assert manager.recv(100) == b"READY=1"
    for _ in range(3):
        assert manager.recv(100) == b"WATCHDOG=1"
    with server.connect() as connection:
        connection.send_request("GET", "/native/block?seconds=4.5")
        assert server.log_lines("the event loop has been blocked for ")
        manager.setblocking(False)
        with pytest.raises(BlockingIOError):
            while True:
                manager.recv(100)  # what came before it stood still
        time.sleep(1)
        with pytest.raises(BlockingIOError):
            manager.recv(100)
        assert "runs again" not in server.log
        manager.settimeout(30)
        assert connection.reply().text == "done"
        assert manager.recv(100) == b"WATCHDOG=1"
    server.stop()
