"""An app that raises: a generic 500 before the first byte, a cut that the client can detect after it."""

import pytest

from tests.apps.failing import SECRET
from tests.server import new_id
from tests.wire.client import Cut

SERVE = ("--wsgi", "tests.apps.failing:app", "--wsgi-threads", "1")
OUTSIDE_EXCEPTION = ["SystemExit", "KeyboardInterrupt", "GeneratorExit"]
LOOKING_LIKE_OURS = ["StopIteration", "ConnectionResetError", "BrokenPipeError"]
BEFORE_THE_FIRST_BYTE = ["/before-start", "/after-start", "/first-chunk", "/after-empty-chunk"]
WRONG_RESULTS = ["/returns-none", "/not-iterable", "/never-starts", "/never-starts-and-empty"]


def assert_generic(reply):
    assert reply.status == 500
    assert reply.reason
    assert SECRET not in reply.text + repr(reply.headers)
    assert "Traceback" not in reply.text
    assert "ValueError" not in reply.text
    assert reply.body


@pytest.mark.parametrize("version", ["1.1", "1.0"])
@pytest.mark.parametrize("path", BEFORE_THE_FIRST_BYTE)
def test_an_error_before_the_first_byte_is_a_generic_500(server, path, version):
    assert_generic(server.get(path, version=version))


@pytest.mark.parametrize("error", OUTSIDE_EXCEPTION + LOOKING_LIKE_OURS)
def test_no_kind_of_error_in_the_app_ends_more_than_its_request(server, error):
    pids = server.wsgi_pids()
    assert_generic(server.get(f"/before-start?error={error}"))
    server.canary()
    assert server.wsgi_pids() == pids


@pytest.mark.parametrize("error", [*OUTSIDE_EXCEPTION, "ConnectionResetError"])
def test_no_kind_of_error_while_iterating_ends_more_than_its_request(server, error):
    pids = server.wsgi_pids()
    assert_generic(server.get(f"/first-chunk?error={error}"))
    server.canary()
    assert server.wsgi_pids() == pids


@pytest.mark.parametrize("path", WRONG_RESULTS)
def test_an_app_that_returns_nothing_usable_gets_a_500(server, path):
    assert_generic(server.get(path))


def test_a_500_to_head_has_no_body(server):
    with server.connect() as connection:
        reply = connection.ask("HEAD", "/before-start")
        assert reply.status == 500
        if (reply.header("Connection") or "").lower() == "close":
            assert connection.rest() == b""
        else:
            server.canary(connection)


def test_a_500_leaves_the_connection_usable_or_closed(server):
    with server.connect() as connection:
        reply = connection.ask("GET", "/before-start")
        if (reply.header("Connection") or "").lower() == "close":
            assert connection.rest() == b""
        else:
            server.canary(connection)


def test_an_error_mid_stream_leaves_a_chunked_reply_without_its_end(server):
    with server.connect() as connection, pytest.raises(Cut) as cut:
        connection.ask("GET", "/mid-stream")
    assert cut.value.reply.status == 200
    assert cut.value.reply.body + cut.value.received == b"some bytes "


def test_an_error_mid_stream_leaves_a_declared_length_unfilled(server):
    with server.connect() as connection, pytest.raises(Cut) as cut:
        connection.ask("GET", "/mid-stream?length=yes")
    assert cut.value.received == b"some bytes "


def test_an_error_mid_stream_resets_an_http_1_0_connection(server):
    """A clean end would say: this was all."""
    with server.connect() as connection:
        connection.send_request("GET", "/mid-stream", version="1.0")
        with pytest.raises(Cut):
            connection.rest()


@pytest.mark.parametrize("error", [*OUTSIDE_EXCEPTION, "BrokenPipeError"])
def test_any_kind_of_error_mid_stream_is_a_cut(server, error):
    with pytest.raises(Cut):
        server.get(f"/mid-stream?error={error}")


@pytest.mark.parametrize("path", ["/mid-stream", "/mid-stream?length=yes", "/first-chunk"])
def test_a_pipelined_request_behind_a_failed_one_gets_its_own_answer_or_none(server, path):
    ident = new_id()
    with server.connect() as connection:
        connection.send_request("GET", path)
        connection.send_request("POST", f"/canary?id={ident}", [("Connection", "close")], b"x")
        received = connection.everything()
    assert b"canary" not in received or received.endswith(f"canary {ident} x".encode())


def test_the_log_has_the_traceback_that_the_client_has_not(server):
    ident = new_id()
    assert server.get(f"/before-start?id={ident}").status == 500
    assert server.log_lines(f"ValueError: {SECRET}")
    assert server.log_lines("in before_start")
