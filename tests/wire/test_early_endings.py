"""The reply ends before the upload, the generator or the reading does: the lane and the server go on."""

import time

import pytest

from tests.server import Server, new_id

SERVE = ("--wsgi", "tests.apps.ending:app", "--wsgi-threads", "1")
SIZE = 200_000
DECLARED = ("Content-Length", str(SIZE))
EXPECTS = ("Expect", "100-continue")


def begin_upload(connection, target, *headers, sent=SIZE):
    connection.send_head("POST", target, [DECLARED, *headers])
    connection.send(b"x" * sent)


@pytest.mark.parametrize("sent", [100_000, SIZE])
def test_reading_on_while_closing_ends(server, sent):
    ident = new_id()
    with server.connect() as connection:
        begin_upload(connection, f"/reads-while-closing?id={ident}", sent=sent)
        assert connection.reply().body == b"ok"
        server.wait_for_note("closed", ident)
        server.canary()


def test_a_thread_that_reads_on_ends(server):
    ident = new_id()
    with server.connect() as connection:
        begin_upload(connection, f"/reads-in-a-thread?id={ident}", sent=100_000)
        assert connection.reply().body == b"ok"
        server.wait_for_note("raised", ident)
        server.canary()


@pytest.mark.parametrize("target", ["/empty-for-ever", "/full-for-ever"])
def test_a_generator_without_end_is_closed_when_its_client_leaves(server, target):
    ident = new_id()
    with server.connect() as connection:
        connection.send_request("GET", f"{target}?id={ident}")
        connection.next_chunk(connection.head())
    server.wait_for_note("closed", ident)


def test_a_generator_past_its_length_is_stopped_and_logged(server):
    ident = new_id()
    assert server.get(f"/past-its-length?id={ident}").body == b"ok"
    server.wait_for_note("closed", ident)
    [line] = server.log_lines("the app's iterable goes on after the end of its reply")
    assert f": GET /past-its-length?id={ident}: " in line


def test_nothing_behind_a_client_that_left_is_run(server):
    """Tornado dispatches what it had read before it saw the end: those requests would not be told of it."""
    ident = new_id()
    with server.connect() as connection:
        connection.send_request("GET", f"/full-for-ever?id={new_id()}")
        connection.send_request("GET", f"/full-for-ever?id={ident}")
        connection.head()
    server.canary()
    assert not server.notes("closed", ident)


def test_close_among_other_options_closes(server):
    with server.connect() as connection:
        connection.send_request("GET", "/ignores", [("Connection", "TE, close")])
        assert connection.reply().body == b"ok"
        assert connection.ends_within()


def test_a_length_beyond_all_numbers_is_answered_once(server):
    with server.connect() as connection:
        connection.send_head("POST", "/ignores", [("Content-Length", "9" * 30)])
        assert connection.everything().count(b"HTTP/1.1 ") == 1


def test_a_live_file_goes_out_as_it_comes(server):
    """Its read() would wait for a whole block, and raises here."""
    assert server.get("/wraps-a-pipe").body == b"first;second;"


@pytest.mark.parametrize(("target", "headers"), [("/ignores", [EXPECTS]), ("/ignores", []), ("/raises", [])])
def test_an_upload_that_nobody_reads_does_not_hold_the_end_up(form, tmp_path, target, headers):
    server = Server(*SERVE, "--graceful-timeout", "20", form=form, folder=tmp_path)
    with server.connect() as connection:
        begin_upload(connection, target, *headers)
        connection.everything() if target == "/raises" else connection.reply()
        began = time.monotonic()
        server.stop()
    assert time.monotonic() - began < 15
