"""start_response, write() and chunks in every order (hazards 16)."""

import pytest

from tests.server import new_id
from tests.wire.client import Cut

SERVE = ("--wsgi", "tests.apps.protocol:app", "--wsgi-threads", "1")


def test_a_second_start_response_without_exc_info_is_an_error(server):
    ident = new_id()
    assert server.get(f"/twice?id={ident}").status == 500
    assert server.wait_for_note("refused", ident)["error"] == "AssertionError"


def test_a_second_start_response_while_iterating_is_a_cut(server):
    with pytest.raises(Cut) as cut:
        server.get("/twice-while-iterating")
    assert cut.value.reply.status == 200
    assert b"again" not in cut.value.reply.body


def test_exc_info_before_the_headers_replaces_them(server):
    reply = server.get("/replaces-before-headers")
    assert (reply.status, reply.reason, reply.body) == (418, "Teapot", b"replaced")
    assert (reply.header("X-First"), reply.header("X-Second")) == (None, "yes")


def test_headers_can_be_replaced_until_the_first_byte(server):
    reply = server.get("/replaces-in-first-chunk")
    assert (reply.status, reply.body) == (418, b"replaced late")


def test_exc_info_after_the_headers_raises_the_original_error(server):
    ident = new_id()
    with pytest.raises(Cut) as cut:
        server.get(f"/replaces-too-late?id={ident}")
    assert b"never seen" not in cut.value.reply.body
    raised = server.wait_for_note("raised", ident)
    assert (raised["error"], raised["text"]) == ("ValueError", "too late")


def test_a_first_start_response_may_carry_exc_info(server):
    assert server.get("/exc-info-alone").status == 503
    assert server.get("/keyword-exc-info").body == b"keyword"


def test_start_response_may_be_called_at_the_first_chunk(server):
    reply = server.get("/late-start")
    assert (reply.status, reply.body) == (202, b"late")
    assert server.get("/late-start?empty=yes").body == b"late"


def test_bytes_before_start_response_are_a_500(server):
    reply = server.get("/data-before-start")
    assert reply.status == 500
    assert b"too early" not in reply.body


@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_written_bytes_come_before_the_returned_ones(server, version):
    assert server.get("/written", version=version).body == b"one two three four"


def test_write_alone_makes_a_reply(server):
    with server.connect() as connection:
        assert connection.ask("GET", "/written-only").body == b"one two"
        server.canary(connection)


def test_text_given_to_write_is_a_500(server):
    reply = server.get("/written-text")
    assert reply.status == 500
    assert b"not bytes" not in reply.body


def test_an_error_after_write_is_a_cut(server):
    with pytest.raises(Cut) as cut:
        server.get("/written-then-raises")
    assert cut.value.reply.body + cut.value.received == b"some bytes"


def test_empty_chunks_are_ignored(server):
    with server.connect() as connection:
        reply = connection.ask("GET", "/empty-chunks")
        assert (reply.status, reply.body) == (200, b"ab")
        server.canary(connection)


@pytest.mark.parametrize("path", ["/empty-list", "/empty-generator", "/only-empty-chunks"])
def test_a_reply_without_bytes_has_a_length_of_zero(server, path):
    with server.connect() as connection:
        reply = connection.ask("GET", path)
        assert (reply.status, reply.header("Content-Length"), reply.body) == (200, "0", b"")
        assert reply.header("Transfer-Encoding") is None
        server.canary(connection)


def test_a_list_of_one_chunk_gets_its_length(server):
    reply = server.get("/one-chunk")
    assert (reply.header("Content-Length"), reply.body) == ("12", b"exactly this")


def test_what_the_app_does_to_its_list_of_headers_later_has_no_effect(server):
    assert server.get("/keeps-the-list").header("X-Too-Late") is None


@pytest.mark.parametrize("size", [0, 256, 65536, 1 << 20])
def test_a_wrapped_file_goes_out_whole(server, size):
    ident = new_id()
    reply = server.get(f"/wrapped-file?id={ident}&size={size}")
    assert reply.body == bytes(range(256)) * (size // 256)


def test_a_wrapped_object_is_read_to_its_end_and_closed(server):
    ident = new_id()
    assert server.get(f"/wrapped-object?id={ident}").body == b"piece " * 3
    server.wait_for_note("closed", ident)
