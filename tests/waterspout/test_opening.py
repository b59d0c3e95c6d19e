"""Requests whose head comes after their delegate: those of Tornado's own server, and of adapters."""

from types import SimpleNamespace

import pytest
from tornado.httputil import (
    HTTPHeaders,
    HTTPInputError,
    HTTPMessageDelegate,
    HTTPServerRequest,
    RequestStartLine,
)

from waterspout.http.head import parse_head
from waterspout.http.private import RequestHeaders
from waterspout.message.proxies import Proxies
from waterspout.native.request import Request
from waterspout.opening import Opening


class Delegate(HTTPMessageDelegate):
    def __init__(self):
        self.events = []

    def headers_received(self, start_line, headers):
        self.events.append(start_line.path)

    def data_received(self, chunk):
        self.events.append(chunk)

    def finish(self):
        self.events.append("finish")

    def on_connection_close(self):
        self.events.append("gone")


class App:
    """Finds the one delegate."""

    proxies = Proxies()

    def __init__(self):
        self.delegate, self.requests = Delegate(), []

    def find_handler(self, request):
        self.requests.append(request)
        return self.delegate


@pytest.fixture
def app():
    return App()


def make_opening(app):
    head = parse_head("GET /path?a=b HTTP/1.1\r\nHost: x\r\n")
    context = SimpleNamespace(remote_ip="192.0.2.7", protocol="http")
    connection = SimpleNamespace(head=head, context=context)
    return Opening(app, None, connection), head, context


START = RequestStartLine("GET", "/path?a=b", "HTTP/1.1")


def test_the_head_decides_and_from_then_on_the_delegate_is_called(app):
    opening, head, _ = make_opening(app)
    early = opening.data_received, opening.finish, opening.on_connection_close
    opening.headers_received(START, RequestHeaders(head.fields, head.names))
    opening.data_received(b"one")
    early[0](b"two")
    early[1]()
    early[2]()
    assert app.delegate.events == ["/path?a=b", b"one", b"two", "finish", "gone"]
    assert opening.finish == app.delegate.finish


def test_what_is_said_of_the_client_while_the_head_is_read_is_kept(app):
    """Tornado's adapter for proxies undoes it when the request is over."""
    opening, head, context = make_opening(app)
    headers = RequestHeaders(head.fields, head.names)
    context.remote_ip = "198.51.100.1"
    opening.headers_received(START, headers)
    context.remote_ip = "192.0.2.7"
    [request] = app.requests
    assert type(request) is Request
    assert (request.remote_ip, request.path, request.query) == ("198.51.100.1", "/path", "a=b")
    assert request.headers is headers


def test_headers_that_nobody_has_judged_are_tornado_s_to_judge(app):
    opening, _, _ = make_opening(app)
    opening.headers_received(START, HTTPHeaders({"Host": "x"}))
    assert type(app.requests[0]) is HTTPServerRequest
    with pytest.raises(HTTPInputError):
        make_opening(app)[0].headers_received(START, HTTPHeaders({"Host": "a b"}))


def test_connect_is_refused(app):
    with pytest.raises(HTTPInputError):
        make_opening(app)[0].headers_received(START._replace(method="CONNECT"), HTTPHeaders({"Host": "x"}))
    assert app.requests == []


def test_a_nul_is_refused_and_nobody_is_told_of_the_end(app):
    opening, _, _ = make_opening(app)
    with pytest.raises(HTTPInputError):
        opening.headers_received(START._replace(path="/%00"), HTTPHeaders({"Host": "x"}))
    opening.on_connection_close()
    assert app.requests == app.delegate.events == []
