"""A request that fails before it has a handler is answered, and logged, like one whose handler raises."""

import json
import re

import pytest

from tests.server import new_id
from tests.wire.client import Connection

HANDLERS = {
    "/plain": "Plain",
    "/exits": "Plain",
    "/panics": "Plain",
    "/lean": "Lean",
    "/re": "Plain",
    "/streams": "Streams",
    "/streams-for-some": "StreamsForSome",
    "/socket": "Socket",
    "/defaults": "Defaults",
    "/unexpected": "Ping",
}


@pytest.fixture(params=["quick", "slow"])
def server(start_server, request):
    return start_server(f"tests.apps.unmade:{request.param}", "--ops-bind", "127.0.0.1:0")


def count_5xx(server):
    (line,) = server.log_lines("figures at")
    port = int(re.search(r"http://127\.0\.0\.1:(\d+)", line)[1])
    with Connection(("127.0.0.1", port)) as connection:
        return json.loads(connection.ask("GET", "/-/stats").body)["native"]["answers"]["5xx"]


def assert_told(server, ident, method, path, handler):
    """One access line, and one line that names the request and says what could not be made."""
    (access,) = server.log_lines(f" {ident}", enough=2)[1:]
    assert re.search(
        rf"waterspout\.access 127\.0\.0\.1 {method} {path}\?secret 500 \d+B .* native {ident}$", access
    )
    (said,) = [line for line in server.log.splitlines() if "Uncaught exception" in line and ident in line]
    what = "no rule could be found" if handler is None else rf"tests\.apps\.\w+\.{handler} can't be created.*"
    assert re.search(rf"Uncaught exception {method} {path} \(127\.0\.0\.1\) {ident}: {what}$", said)


def test_each_request_is_answered_and_told(server):
    asked = 0
    for path, handler in {**HANDLERS, "/day/today": None}.items():
        for method, body in (("GET", None), ("HEAD", None), ("POST", b"x" * 1000)):
            if path in ("/socket", "/unexpected") and method != "GET":
                continue
            ident = new_id()
            reply = server.ask(method, f"{path}?secret", [("X-Request-Id", ident)], body)
            assert (reply.status, reply.all("X-Request-Id")) == (500, [ident]), (method, path)
            assert reply.text == ("" if method == "HEAD" else "500 Internal Server Error\n")
            assert_told(server, ident, method, path, handler)
            asked += 1
            assert count_5xx(server) == asked
    assert server.get("/day/2026-02-01").text == "032"
    assert server.log.count("Traceback") == asked
    assert "NoDatabase: it is not there" in server.log
    assert "unexpected keyword argument" in server.log


def test_the_connection_goes_on_where_no_body_is_left_unread(server):
    with server.connect() as connection:
        for path in ("/plain", "/lean", "/streams", "/day/today", "/defaults"):
            assert connection.ask("GET", path).status == 500
            server.canary(connection)
        for path in ("/plain", "/day/today"):
            assert connection.ask("POST", path, body=b"x" * 1000).status == 500
            server.canary(connection)


def test_requests_behind_it_are_answered_in_their_order(server):
    with server.connect() as connection:
        for path in ("/plain", "/native/ping", "/day/today", "/native/ping"):
            connection.send_request("GET", path)
        replies = [connection.reply() for _ in range(4)]
        assert [reply.status for reply in replies] == [500, 200, 500, 200]


def test_a_body_that_nobody_reads_is_not_waited_for(server):
    with server.connect() as connection:
        connection.send_request(
            "POST", "/streams", [("Content-Length", "100000"), ("Expect", "100-continue")]
        )
        assert connection.reply().status == 500
        assert connection.everything() == b""
    server.canary()


def test_the_arguments_of_the_rule_are_named_and_not_told(server):
    server.get("/unexpected")
    (line,) = server.log_lines("Ping can't be created")
    assert line.endswith(
        "tests.apps.natives.Ping can't be created: its rule passes methods, password to initialize()"
    )
    assert "the-secret" not in server.log


def test_within_another_application_as_well(start_server):
    server = start_server("tests.apps.unmade:nested")
    for path, handler in {"/plain": "Plain", "/day/today": None}.items():
        ident = new_id()
        reply = server.get(f"{path}?secret", [("X-Request-Id", ident)])
        assert (reply.status, reply.all("X-Request-Id")) == (500, [ident])
        assert_told(server, ident, "GET", path, handler)
