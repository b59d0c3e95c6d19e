"""What the operations address reports, and who can't ask it (`--ops-bind`)."""

import os
import resource
import signal
import socket

import pytest

import waterspout
from tests.server import StartError, new_id, poll, reserved_port, rss_of
from tests.waterspout.processes import running_thread
from tests.wire.client import Connection, build_request
from tests.wire.test_drain import open_websocket
from tests.wire.watched import OPS, Watched

WORKING = ("--wsgi", "tests.apps.working:app")


@pytest.fixture
def watched(start_server, form):
    native = ("--native", "tests.apps.natives:routes")
    options = ("--wsgi-threads", "2", "--wsgi-queue", "1")
    return Watched(start_server(*native, *WORKING, *options, *OPS, form=form))


def begin(watched):
    ident, connection = new_id(), watched.server.connect()
    connection.send_request("GET", f"/gated?id={ident}")
    assert watched.server.get("/native/ping").text == "pong"
    return ident, connection


def finish(watched, ident, connection):
    watched.server.open_gate(ident)
    assert connection.reply().text == f"done {ident}"


def test_what_runs_and_waits_is_told_while_it_does(watched, form):
    server = watched.server
    idle = watched.pool()
    assert idle["lanes"] == {"total": 2, "busy": 0, "stuck": 0}
    assert idle["queue"] == {"length": 0, "limit": 1}
    assert idle["slow_clients"] == {"cut": 0, "spool": {"used": 0, "limit": 256 << 20}}
    assert idle["wait"] == {"count": 0, "p50": None, "p90": None, "p99": None, "max": None}
    requests = [begin(watched) for _ in range(3)]
    assert poll(lambda: watched.pool()["lanes"]["busy"] == 2)  # at first one may wait behind another
    assert server.get("/quick").status == 503
    busy = watched.pool()
    assert busy["lanes"]["busy"] == 2
    assert busy["queue"]["length"] == 1
    assert busy["requests"] == {"started": 2, "running": 2, "prefetched": 0, "finished": 0}
    assert busy["answers"] == {"502": 0, "503": 1, "504": 0}
    (process,) = busy["processes"]
    assert [process["pid"]] == (server.wsgi_pids() if form == "process" else [server.pid])
    assert (process["lanes"], process["busy"], process["served"]) == (2, 2, 2)
    assert process["rss"] == pytest.approx(rss_of(process["pid"]), rel=0.5)
    assert 0 < process["age"] < 60
    assert not poll(lambda: False, 0.3)
    for ident, connection in requests:
        finish(watched, ident, connection)
    assert poll(lambda: watched.pool()["lanes"]["busy"] == 0)
    done = watched.pool()
    assert done["requests"] == {"started": 3, "running": 0, "prefetched": 0, "finished": 3}
    assert (done["wait"]["count"], done["run"]["count"]) == (3, 3)
    assert 0.3 < done["wait"]["max"] < 20
    assert 0.2 < done["run"]["p50"] < 20  # accurate to an eighth
    assert done["wait"]["p50"] < 0.3


def test_the_server_and_its_event_loop_are_told(watched):
    assert poll(lambda: watched.stats()["event_loop"]["lag"]["samples"] >= 2)
    stats = watched.stats()
    lag = stats["event_loop"]["lag"]
    assert 0 <= lag["last"] <= lag["max"]
    assert 0 <= lag["p99"] <= lag["max"]
    assert stats["server"]["pid"] == watched.server.pid
    assert stats["server"]["version"] == waterspout.__version__
    assert stats["server"]["rss"] > 1_000_000
    assert stats["stopping"] is False


def test_the_public_port_does_not_tell(watched):
    for target in ("/-/stats", "/-/health"):
        reply = watched.server.get(target)
        assert (reply.status, reply.text) == (404, "missing")


def test_the_operations_address_tells_nothing_else(watched):
    assert watched.ask("/quick").status == 404
    assert watched.ask("/-/").status == 404
    assert watched.ask("/-/stats", "POST").status == 405
    head = watched.ask("/-/stats", "HEAD")
    assert (head.status, head.header("Cache-Control")) == (200, "no-store")


def test_health_is_bad_from_the_moment_that_the_server_stops(watched):
    assert watched.ask("/-/health").json() == {
        "healthy": True,
        "starting": False,
        "stopping": False,
        "down": [],
    }
    ident, connection = begin(watched)
    watched.server.signal(signal.SIGTERM)
    watched.server.log_lines("stopping")
    reply = watched.ask("/-/health")
    assert (reply.status, reply.json()["stopping"]) == (503, True)
    finish(watched, ident, connection)
    assert watched.server.wait() == 0


LATE = """
import os, time
deadline = time.monotonic() + 20
while not os.path.exists("gate") and time.monotonic() < deadline:
    time.sleep(0.01)
from tests.apps.working import app
"""


def test_health_is_bad_until_the_app_is_loaded(start_server, tmp_path):
    (tmp_path / "late.py").write_text(LATE)

    def health(port):
        try:
            with Connection(("127.0.0.1", port)) as connection:
                return connection.ask("GET", "/-/health").status
        except ConnectionError:
            return None

    with reserved_port() as port:
        words = ("--wsgi", "late:app", "--ops-bind", f"127.0.0.1:{port}")
        with running_thread(lambda: start_server(*words, form="process", cwd=tmp_path)):
            assert poll(lambda: health(port)) == 503
            (tmp_path / "gate").touch()
        assert health(port) == 200


def test_a_dead_process_is_counted_and_its_pool_is_healthy_again(start_server):
    watched = Watched(start_server(*WORKING, *OPS, form="process"))
    _, connection = begin_alone(watched)
    (pid,) = watched.server.wsgi_pids()
    os.kill(pid, signal.SIGKILL)
    assert connection.reply().status == 502
    assert watched.pool()["answers"]["502"] == 1
    # Its lane may end a moment before it does: until then it is still the pool's process.
    assert poll(lambda: {process["pid"] for process in watched.pool()["processes"]} - {pid, None})
    assert poll(lambda: watched.ask("/-/health").status == 200)
    (process,) = watched.pool()["processes"]
    assert process["served"] == 0


def test_a_process_that_dies_has_crashed_and_one_that_is_reloaded_has_not(start_server):
    watched = Watched(start_server(*WORKING, *OPS, form="process"))

    def counts():
        pool = watched.pool()
        return pool["restarts"], pool["crashed"]

    watched.server.signal(signal.SIGHUP)
    assert poll(lambda: counts() == (1, 0))
    assert poll(lambda: len(watched.server.wsgi_pids()) == 1)
    os.kill(watched.server.wsgi_pids()[0], signal.SIGKILL)
    assert poll(lambda: counts() == (2, 1))
    assert poll(lambda: watched.ask("/-/health").status == 200)
    assert len(watched.server.log_lines("; starting another")) == 1


def test_the_requests_that_run_longest_are_named(watched):
    assert watched.pool()["longest"] == []
    (first, one), (second, other) = begin(watched), begin(watched)
    assert poll(lambda: len(watched.pool()["longest"]) == 2)  # at first one may wait behind the other
    told = watched.pool()["longest"]
    assert [each["request"] for each in told] == ["GET /gated", "GET /gated"]
    assert 20 > told[0]["seconds"] > told[1]["seconds"] > 0
    assert {each["pid"] for each in told} == {process["pid"] for process in watched.pool()["processes"]}
    finish(watched, first, one)
    assert poll(lambda: [each["id"] for each in watched.pool()["longest"]] == [told[1]["id"]])
    finish(watched, second, other)
    assert poll(lambda: watched.pool()["longest"] == [])
    for ident, each in ((first, told[0]), (second, told[1])):
        (line,) = watched.server.log_lines(f"/gated?id={ident}")
        assert line.endswith(f" wsgi {each['id']}")


@pytest.mark.parametrize("http", ["waterspout", "tornado"])
def test_connections_and_websockets_are_told(start_server, http):
    watched = Watched(start_server("--native", "tests.apps.natives:routes", *OPS, "--server", http))
    server = watched.server

    def counts():
        told = watched.stats()["connections"]
        return told["open"], told["websockets"]

    assert counts() == (0, 0)
    fresh, kept, socket = server.connect(), server.connect(), open_websocket(server)
    assert kept.ask("GET", "/native/ping").status == 200
    assert poll(lambda: counts() == (3, 1))
    for connection in (fresh, kept, socket):
        connection.close()
    assert poll(lambda: counts() == (0, 0))
    _, hard = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (200, hard))
    assert watched.stats()["connections"]["limit"] == 200


def test_what_native_handlers_answer_is_counted_by_class_of_status(watched):
    server = watched.server
    for target in ("/native/ping", "/native/numbers/7", "/native/raises", "/quick"):
        server.get(target)
    open_websocket(server)
    assert watched.stats()["native"]["answers"] == {"1xx": 1, "2xx": 2, "3xx": 0, "4xx": 0, "5xx": 1}


@pytest.mark.parametrize("http", ["waterspout", "tornado"])
def test_what_native_handlers_run_is_told_while_they_do(start_server, http):
    watched = Watched(start_server("--native", "tests.apps.natives:routes", *OPS, "--server", http))
    server = watched.server

    def counts():
        told = watched.stats()["native"]["requests"]
        return told["running"], told["replying"], told["abandoned"]

    assert counts() == (0, 0, 0)
    assert watched.stats()["native"]["longest"] == []
    socket, first, second, stream = (open_websocket(server), *(server.connect() for _ in range(3)))
    first.send_request("GET", "/native/slow?seconds=60&secret=x")
    assert poll(lambda: counts() == (1, 0, 0))
    second.send_request("GET", "/native/events?topic=none&after=60")
    stream.send_request("GET", "/native/beats")
    stream.head()
    assert poll(lambda: counts() == (3, 1, 0))
    told = watched.stats()["native"]["longest"]
    assert [each["request"] for each in told] == ["GET /native/slow", "GET /native/events"]
    assert 20 > told[0]["seconds"] > told[1]["seconds"] > 0
    first.close()  # the handler goes on: nothing told it to end
    assert poll(lambda: counts() == (3, 1, 1))
    for connection in (socket, second, stream):
        connection.close()


def test_a_handler_that_streams_its_body_is_told(start_server):
    watched = Watched(start_server("--native", "tests.apps.natives:routes", *OPS))
    with watched.server.connect() as connection:
        connection.send_head("POST", "/native/streamed", [("Content-Length", "6")])
        connection.send(b"abc")
        assert poll(lambda: watched.stats()["native"]["longest"])
        connection.send(b"def")
        assert connection.reply().text == "6"
    assert watched.stats()["native"]["requests"]["running"] == 0


def test_a_view_that_is_given_up_is_told(start_server, form):
    options = ("--wsgi-timeout", "0.5", "--wsgi-threads", "3")
    watched = Watched(start_server(*WORKING, *OPS, *options, form=form))
    _, connection = begin_alone(watched)
    assert connection.reply().status == 504
    pool = watched.pool()
    assert (pool["answers"]["504"], pool["timed_out"], pool["lanes"]["stuck"]) == (1, 1, 1)
    assert watched.ask("/-/health").status == 200


def begin_alone(watched):
    """Where no native route can show that the request was read, its view can."""
    ident, connection = new_id(), watched.server.connect()
    connection.send_request("GET", f"/gated?id={ident}")
    watched.server.wait_for_note("ran", ident)
    return ident, connection


def test_each_pool_is_told_by_its_name(start_server):
    named = ("--wsgi-pool", "slow:/gated:0x1")
    watched = Watched(start_server(*WORKING, *named, *OPS, "--wsgi-threads", "3", form="threads"))
    ident, connection = begin_alone(watched)
    assert watched.server.get("/quick").status == 200
    pools = watched.stats()["pools"]
    assert {name: pool["requests"]["started"] for name, pool in pools.items()} == {"main": 1, "slow": 1}
    assert {name: pool["lanes"]["total"] for name, pool in pools.items()} == {"main": 3, "slow": 1}
    assert pools["slow"]["lanes"]["busy"] == 1
    finish(watched, ident, connection)


def test_a_unix_socket_tells_too(start_server, tmp_path):
    path = tmp_path / "ops.sock"
    server = start_server(*WORKING, "--ops-bind", f"unix:{path}", form="threads")
    with socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(5)
        asking.connect(str(path))
        asking.sendall(build_request("GET", "/-/health"))
        assert asking.recv(100).startswith(b"HTTP/1.1 200")
    assert path.stat().st_mode & 0o777 == 0o660
    server.stop()
    assert not path.exists()


def test_native_routes_alone_have_figures_too(start_server):
    watched = Watched(start_server("--native", "tests.apps.natives:routes", *OPS))
    assert watched.stats()["pools"] == {}
    assert watched.ask("/-/health").status == 200


def test_an_address_that_is_taken_ends_the_server(start_server, watched):
    with pytest.raises(StartError, match=r"exit code 1:\n.*choose another --ops-bind"):
        start_server(*WORKING, "--ops-bind", f"127.0.0.1:{watched.address[1]}")


def test_an_address_that_others_can_reach_is_worth_a_word(start_server):
    server = start_server(*WORKING, "--ops-bind", "0.0.0.0:0", form="threads")
    assert len(server.log_lines("anyone who can reach 0.0.0.0:0 can read the figures")) == 1


def test_without_the_option_nothing_is_told(start_server):
    server = start_server(*WORKING, form="threads")
    assert not server.log_lines("figures", seconds=0.1)
