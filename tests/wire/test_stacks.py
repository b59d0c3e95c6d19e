"""Where all threads stand, logged on a signal and when a process crashes."""

import os
import signal

from tests.server import new_id, poll

SERVE = (
    *("--native", "tests.apps.natives:routes", "--wsgi", "tests.apps.working:app"),
    *("--wsgi-threads", "2"),
)


def test_sigusr1_tells_where_a_server_stands_whose_loop_is_blocked(start_server):
    server = start_server(*SERVE, form="process")
    with server.connect() as connection:
        connection.send_request("GET", "/native/block?seconds=5")
        assert poll(lambda: _asked(server, server.pid, b"in sleep_as_no_handler_should"))
        assert b"runs again" not in server.log_bytes
        assert connection.reply().text == "done"  # nobody was harmed
    server.canary()
    server.stop()


def test_sigusr1_tells_where_a_view_stands(start_server):
    server = start_server(*SERVE, form="process")
    ident = new_id()
    with server.connect() as connection:
        connection.send_request("GET", f"/gated?id={ident}")
        server.wait_for_note("ran", ident)
        [pid] = server.wsgi_pids()
        assert poll(lambda: _asked(server, pid, b"in gated"))
        server.open_gate(ident)
        assert connection.reply().status == 200
    assert server.wsgi_pids() == [pid]
    server.stop()


def test_a_crash_names_the_view(start_server):
    server = start_server(*SERVE, form="process")
    ident = new_id()
    with server.connect() as connection:
        connection.send_request("GET", f"/gated?id={ident}")
        server.wait_for_note("ran", ident)
        os.kill(server.wsgi_pids()[0], signal.SIGSEGV)
        assert connection.reply().status == 502
    assert server.log_lines("in gated")
    assert server.log_lines("killed by SIGSEGV")


def _asked(server, pid, told):
    os.kill(pid, signal.SIGUSR1)
    return poll(lambda: told in server.log_bytes, seconds=0.5)
