"""Which request is the last one of its connection."""

from types import SimpleNamespace

import pytest
from tornado.httputil import HTTPHeaders

from waterspout.message.closing import close_behind, cut_reply, may_serve, wants_close


class Context:
    """As Tornado makes one for each connection."""


def make_connection(**attributes):
    return SimpleNamespace(context=Context(), **attributes)


@pytest.fixture
def connection():
    return make_connection()


def test_requests_follow_each_other_on_a_connection(connection):
    assert [may_serve(connection) for _ in range(3)] == [True] * 3


def test_behind_the_last_one_nothing_is_served(connection):
    close_behind(connection)
    assert [may_serve(connection) for _ in range(3)] == [False] * 3


def test_it_is_one_connection_s_matter(connection):
    close_behind(connection)
    assert may_serve(make_connection())


def test_each_request_of_a_connection_may_have_an_object_of_its_own(connection):
    close_behind(connection)
    assert not may_serve(SimpleNamespace(context=connection.context))


@pytest.mark.parametrize("is_closed", [True, False])
def test_what_stands_in_the_buffer_of_a_closed_stream_is_not_served(is_closed):
    stream = SimpleNamespace(closed=lambda: is_closed)
    assert may_serve(make_connection(stream=stream)) is not is_closed


@pytest.mark.parametrize("connection", [SimpleNamespace(), SimpleNamespace(context=None, stream=None)])
def test_a_connection_without_a_context_is_served(connection):
    close_behind(connection)
    assert may_serve(connection)


@pytest.mark.parametrize("value", ["TE, close", "close, TE", "Close,TE", "a,CLOSE ,b", "close,close"])
def test_close_among_other_options_is_seen(value):
    assert wants_close(HTTPHeaders({"Connection": value}))


@pytest.mark.parametrize(
    "headers", [{}, {"Connection": "keep-alive, TE"}, {"Connection": "closed, disclose"}]
)
def test_what_is_no_close_is_none(headers):
    assert not wants_close(HTTPHeaders(headers))


def test_options_of_several_lines_are_one_list():
    headers = HTTPHeaders()
    headers.add("Connection", "TE")
    headers.add("Connection", "close")
    assert wants_close(headers)


def test_a_reply_is_cut_though_macos_sets_no_option_of_a_socket_whose_client_has_left():
    def refuse(*_):
        raise OSError(22, "Invalid argument")

    closed = []
    stream = SimpleNamespace(
        closed=lambda: False, socket=SimpleNamespace(setsockopt=refuse), close=lambda: closed.append(True)
    )
    cut_reply(make_connection(stream=stream), is_delimited=False)
    assert closed == [True]
