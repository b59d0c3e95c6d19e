"""What a reply goes through when it does not leave in one piece."""

import pytest
from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine

from waterspout.http.private import ReplyHeaders
from waterspout.message.origin import SERVER
from waterspout.message.record import record_of
from waterspout.native.transform import RecordTransform


@pytest.fixture
def request_():
    start_line = RequestStartLine("GET", "/", "HTTP/1.1")
    return HTTPServerRequest(start_line=start_line, headers=HTTPHeaders({"Host": "x", "X-Request-Id": "id"}))


@pytest.mark.parametrize(
    "headers", [ReplyHeaders({"Server": SERVER}), HTTPHeaders({"Server": "TornadoServer/6"})]
)
def test_it_counts_and_adds_the_id(request_, headers):
    transform, record = RecordTransform(request_), record_of(request_)
    assert transform.transform_first_chunk(201, headers, b"four", False) == (201, headers, b"four")
    assert transform.transform_chunk(b"and", True) == b"and"
    assert (record.status, record.bytes_sent) == (201, 7)
    assert dict(headers.get_all()) == {"Server": SERVER, "X-Request-Id": "id"}


def test_a_server_that_a_handler_names_is_kept(request_):
    headers = HTTPHeaders({"Server": "own"})
    RecordTransform(request_).transform_first_chunk(200, headers, b"", True)
    assert headers["Server"] == "own"
