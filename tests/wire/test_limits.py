"""Bodies that are too large are refused early, on either side, and held nowhere."""

import time
from contextlib import suppress

import pytest

from tests.server import new_id
from tests.wire.client import Cut, chunk, chunked
from tests.wire.test_memory import MemoryWatch

MIB = 1 << 20
NATIVE_LIMIT = MIB
LIMIT = 2 * MIB
SERVE = (
    *("--native", "tests.apps.natives:routes", "--wsgi", "tests.apps.bodies:app", "--wsgi-threads", "1"),
    *("--native-max-body-size", "1MiB", "--max-body-size", "2MiB"),
)
CHUNKED = ("Transfer-Encoding", "chunked")


def length(size):
    return ("Content-Length", str(size))


def send_past_the_limit(connection, size):
    """Send a chunked body that does not end, well past every limit here."""
    for _ in range(2 * size // 65_536):
        connection.send(chunk(b"x" * 65_536))


def is_stopped(connection, seconds=25):
    """Whether the server ends the connection in time, however long the client goes on sending."""
    deadline = time.monotonic() + seconds
    piece = chunk(b"x" * MIB)
    with suppress(ConnectionError):
        while time.monotonic() < deadline:
            connection.send(piece)
        return False
    return True


@pytest.mark.parametrize("size", [NATIVE_LIMIT + 1, 500 * MIB, 10**18])
def test_a_native_handler_is_spared_a_body_declared_too_large(server, size):
    """The answer comes before any byte of the body."""
    with server.connect() as connection:
        connection.send_head("POST", "/native/whole", [length(size)])
        assert connection.reply().status == 413


def test_a_native_handler_is_spared_a_chunked_body_that_grows_too_large(server):
    with server.connect() as connection:
        connection.send_head("POST", "/native/whole", [CHUNKED])
        send_past_the_limit(connection, NATIVE_LIMIT)
        assert connection.reply().status == 413


def test_what_a_client_goes_on_sending_past_the_limit_is_held_nowhere(server):
    server.ask("POST", "/native/whole", body=b"x" * NATIVE_LIMIT)
    with server.connect() as connection, MemoryWatch(server) as memory:
        connection.send_head("POST", "/native/whole", [CHUNKED])
        send_past_the_limit(connection, NATIVE_LIMIT)
        assert connection.reply().status == 413
        assert is_stopped(connection)
    assert memory.growth < 8 * MIB


def test_a_chunked_body_a_little_too_large_for_a_native_handler_is_a_413(server):
    with server.connect() as connection:
        connection.send_head("POST", "/native/whole", [CHUNKED])
        connection.send(chunk(b"x" * NATIVE_LIMIT), chunk(b"y"))
        assert connection.reply().status == 413


def test_a_native_handler_gets_a_body_up_to_the_limit(server):
    assert server.ask("POST", "/native/whole", body=b"x" * NATIVE_LIMIT).text == str(NATIVE_LIMIT)
    with server.connect() as connection:
        connection.send_head("POST", "/native/whole", [CHUNKED])
        connection.send(chunked(b"x" * NATIVE_LIMIT))
        assert connection.reply().text == str(NATIVE_LIMIT)


def test_what_a_handler_does_not_own_has_the_app_s_limit(server):
    reply = server.ask("POST", "/native/ping", body=b"x" * (NATIVE_LIMIT + 1))
    assert (reply.status, reply.text) == (404, "missing")


def test_a_streaming_native_handler_has_the_larger_limit(server):
    assert server.ask("POST", "/native/streamed", body=b"x" * LIMIT).text == str(LIMIT)
    with server.connect() as connection:
        connection.send_head("POST", "/native/streamed", [length(LIMIT + 1)])
        assert connection.reply().status == 413


@pytest.mark.parametrize("size", [LIMIT + 1, 10**12, 10**30])
def test_a_body_declared_too_large_for_wsgi_is_a_413_and_the_app_never_runs(server, size):
    ident = new_id()
    with server.connect() as connection:
        connection.send_head("POST", f"/digest?id={ident}", [length(size)])
        assert connection.reply().status in ((413, 400) if size > 10**18 else (413,))
    server.canary()
    assert not server.notes("ran", ident)


def test_the_connection_of_a_refused_body_ends_and_its_client_is_told(server):
    connections = [server.connect() for _ in range(2)]
    for connection, path in zip(connections, ("/digest", "/native/ping"), strict=True):
        connection.send_head("POST", path, [length(LIMIT + 1)])
        reply = connection.reply()
        assert (reply.status, reply.all("Connection")) == (413, ["close"])
    for connection in connections:
        assert connection.ends_within()


def test_an_expected_body_that_is_too_large_is_refused_without_a_100(server):
    for path in ("/digest", "/native/whole"):
        with server.connect() as connection:
            connection.send_head("POST", path, [("Expect", "100-continue"), length(LIMIT + 1)])
            assert connection.reply().status == 413


@pytest.mark.parametrize("how", ["whole", "pieces", "lines"])
def test_a_chunked_body_that_grows_too_large_for_wsgi_makes_read_raise(server, how):
    """413 if no reply had begun, or a cut; the app must not take the body for complete."""
    ident = new_id()
    with server.connect() as connection:
        connection.send_head("POST", f"/witnessed?id={ident}&how={how}", [CHUNKED])
        connection.send(chunk(b"x" * 65_536))
        server.wait_for_note("ran", ident)  # else it may be refused before it runs
        with suppress(ConnectionError):
            send_past_the_limit(connection, LIMIT)
        with suppress(Cut):
            assert connection.reply().status == 413
    assert server.wait_for_note("outcome", ident)["ended"] == "raised"


def test_wsgi_gets_a_body_up_to_the_limit(server):
    assert server.ask("POST", "/digest", body=b"x" * LIMIT).json()["length"] == LIMIT
    with server.connect() as connection:
        connection.send_head("POST", "/digest", [CHUNKED])
        connection.send(chunked(b"x" * MIB, b"y" * MIB))
        assert connection.reply().json()["length"] == LIMIT


def test_the_limit_of_native_handlers_is_not_the_limit_of_wsgi(server):
    assert server.ask("POST", "/digest", body=b"x" * (NATIVE_LIMIT + 1)).json()["length"] == NATIVE_LIMIT + 1


@pytest.mark.parametrize(("words", "limit"), [((), 100 * MIB), (("--max-body-size", "2MiB"), LIMIT)])
def test_a_stock_application_has_tornado_s_limit_unless_another_is_given(start_server, words, limit):
    """Its handlers hold what they get: 1 GiB is for those that don't."""
    server = start_server("tests.waterspout.natives:stock", *words)
    with server.connect() as connection:
        connection.send_head("POST", "/hello", [length(limit + 1)])
        assert connection.head().status in (413, 400)  # on Tornado's server
    with server.connect() as connection:
        connection.send_head("POST", "/hello", [length(limit), ("Expect", "100-continue")])
        assert connection.head().status == 100


def test_an_unread_upload_past_the_limit_is_not_swallowed_for_ever(server):
    with server.connect() as connection:
        connection.send_head("POST", "/refuses", [CHUNKED])
        assert is_stopped(connection)
