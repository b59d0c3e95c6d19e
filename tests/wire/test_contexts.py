"""Context variables: what one request leaves, no other finds, on the same connection or on another."""

import pytest

from tests.server import Server, poll
from tests.wire.client import build_request

SERVE = ("--native", "tests.apps.natives:routes", "--wsgi", "tests.apps.working:app")
PATHS = ["/native/leaves", "/native/leaves-streaming", "/native/leaves-awaiting"]
STEPS = ["initialize", "set_default_headers", "prepare", "get", "on_finish"]


@pytest.fixture(scope="module", params=["uvloop", "asyncio"])
def serve(request, tmp_path_factory):
    """One server for all tests: each also looks for what those before it have left."""
    server = Server(*SERVE, "--loop", request.param, folder=tmp_path_factory.mktemp("server"))
    yield server
    server.kill()


def assert_nothing_left(server, connection=None):
    for asked in [server.connect(), *([connection] if connection else [])]:
        for path in PATHS:
            assert asked.ask("GET", path).text == "nothing, nothing"
            assert asked.ask("POST", path, body=b"x").text == "nothing, nothing"


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("step", STEPS)
def test_no_other_request_finds_it(serve, path, step):
    with serve.connect() as connection:
        for method, body in (("GET", None), ("POST", b"x")):
            reply = connection.ask(method, f"{path}?leave={step}", body=body)
            assert reply.text == f"nothing, {'nothing' if step == 'on_finish' else step}"
            assert_nothing_left(serve, connection)


@pytest.mark.parametrize("path", PATHS[1:])
def test_nor_what_a_streamed_body_leaves(serve, path):
    with serve.connect() as connection:
        path = f"{path}?leave=data_received"
        assert connection.ask("POST", path, body=b"x" * 300_000).status == 200
        assert_nothing_left(serve, connection)


def test_nor_what_is_left_when_a_client_leaves(serve):
    connection = serve.connect()
    connection.send_request("GET", "/native/leaves?leave=on_connection_close&wait=1.5")
    assert serve.get("/native/ping").text == "pong"
    connection.close()
    assert poll(lambda: serve.log_lines("leave=on_connection_close"))
    assert_nothing_left(serve)


def test_a_coroutine_that_takes_the_body_finds_what_its_own_request_has_left(serve):
    with serve.connect() as connection:
        reply = connection.ask("POST", f"{PATHS[2]}?leave=initialize", body=b"x" * 200_000)
        assert reply.header("X-Found") == "initialize"
        second = build_request("POST", PATHS[2], body=b"x")
        connection.send(build_request("GET", f"{PATHS[0]}?leave=get") + second)
        assert connection.reply().text == "nothing, get"
        assert connection.reply().header("X-Found") == "nothing"


def test_nor_who_has_come_behind_it_in_one_packet(serve):
    with serve.connect() as connection:
        targets = ["/native/leaves?leave=get", "/native/leaves", "/native/leaves-streaming", "/native/leaves"]
        connection.send(b"".join(build_request("GET", target) for target in targets))
        found = [connection.reply().text for _ in targets]
        assert found == ["nothing, get", *["nothing, nothing"] * 3]
