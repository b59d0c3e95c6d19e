"""Which request is the last one of its connection."""

from types import SimpleNamespace

import pytest
from tornado.httputil import HTTPHeaders

from waterspout.closing import close_behind, may_serve


class Context:
    """As Tornado makes one for each connection."""


@pytest.fixture
def connection():
    return SimpleNamespace(context=Context())


def serve(connection, version="HTTP/1.1", **headers):
    return may_serve(connection, version, HTTPHeaders(headers))


def test_requests_follow_each_other_on_a_connection(connection):
    assert [serve(connection) for _ in range(3)] == [True] * 3


@pytest.mark.parametrize("value", ["close", "Close", "CLOSE", "TE, close", "close, TE"])
@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/1.0"])
def test_behind_close_nothing_is_served(connection, version, value):
    assert serve(connection, version, Connection=value)
    assert not serve(connection)
    assert not serve(connection)


@pytest.mark.parametrize("headers", [{}, {"Connection": "TE"}, {"Connection": ""}])
def test_a_request_of_http_1_0_is_the_last(connection, headers):
    assert serve(connection, "HTTP/1.0", **headers)
    assert not serve(connection)


@pytest.mark.parametrize("value", ["keep-alive", "Keep-Alive", "TE, keep-alive"])
def test_one_of_http_1_0_may_ask_to_be_followed(connection, value):
    assert serve(connection, "HTTP/1.0", Connection=value)
    assert serve(connection)


def test_behind_an_error_reply_nothing_is_served(connection):
    assert serve(connection)
    close_behind(connection)
    assert not serve(connection)


def test_it_is_one_connection_s_matter(connection):
    close_behind(connection)
    assert serve(SimpleNamespace(context=Context()))


def test_each_request_of_a_connection_may_have_an_object_of_its_own(connection):
    close_behind(connection)
    assert not serve(SimpleNamespace(context=connection.context))


@pytest.mark.parametrize("connection", [SimpleNamespace(), SimpleNamespace(context=None)])
def test_a_connection_without_a_context_is_served(connection):
    close_behind(connection)
    assert serve(connection, Connection="close")
    assert serve(connection)
