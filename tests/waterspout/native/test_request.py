"""To code that looks at it, our request is the same as Tornado's."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tornado.httputil import HTTPHeaders, HTTPInputError, HTTPServerRequest, RequestStartLine

from waterspout.http.head import parse_head
from waterspout.message.record import record_of
from waterspout.native.request import Request

ATTRIBUTES = (
    *("method", "uri", "path", "query", "version", "body", "remote_ip", "protocol", "host", "host_name"),
    *("arguments", "query_arguments", "body_arguments", "files", "_finish_time"),
)
CONTEXT = SimpleNamespace(remote_ip="192.0.2.7", protocol="https")


def make_pair(target="/", version="1.1", fields=("Host: Here:80",)):
    """(ours, Tornado's) of one head."""
    head = parse_head("\r\n".join([f"GET {target} HTTP/{version}", *fields, ""]))
    connection = SimpleNamespace(head=head, context=CONTEXT)
    headers = HTTPHeaders()
    for name, value in head.fields:
        headers.add(name, value)
    start_line = RequestStartLine(head.method, head.target, head.version)
    theirs = HTTPServerRequest(start_line=start_line, headers=headers, connection=connection)
    path, _, query = head.target.partition("?")
    return Request(*start_line, (path, query), connection, None), theirs


QUERIES = st.text("a=&;+%20?", max_size=20)


@given(QUERIES, st.permutations(ATTRIBUTES))
def test_every_attribute_is_tornado_s_in_whatever_order_they_are_asked_for(query, names):
    ours, theirs = make_pair(f"/path?{query}")
    for name in names:
        assert getattr(ours, name) == getattr(theirs, name), name
    assert sorted(ours.headers.get_all()) == sorted(
        [*theirs.headers.get_all(), ("X-Request-Id", ours.request_id)]
    )
    assert repr(ours).partition("(")[2] == repr(theirs).partition("(")[2]
    assert ours.full_url() == theirs.full_url()


def test_http_1_0_without_a_host():
    ours, theirs = make_pair(version="1.0", fields=())
    assert (ours.host, ours.host_name) == (theirs.host, theirs.host_name) == ("127.0.0.1", "127.0.0.1")


def test_what_is_set_is_kept_and_what_is_made_is_made_once():
    ours, _ = make_pair("/?a=1")
    ours.remote_ip = "other"
    assert ours.remote_ip == "other"
    assert ours.arguments is ours.arguments
    ours.arguments["a"].append(b"2")
    assert ours.query_arguments == {"a": [b"1"]}
    with pytest.raises(AttributeError):
        ours.nothing  # noqa: B018 - that is the question
    assert Request.arguments.__doc__ == Request.__dict__["arguments"].__doc__


def test_too_many_arguments_are_refused_at_once():
    with pytest.raises(HTTPInputError):
        make_pair("/?" + "a&" * 2000)


def test_the_time_is_measured_by_a_clock_that_nobody_sets():
    ours, _ = make_pair()
    ours.opened -= 5
    assert 5 <= ours.request_time() < 60


@pytest.mark.parametrize(
    ("fields", "kept"),
    [
        (["X-Request-Id: mine"], True),
        (["x-request-id: a b"], False),
        (["X-Request-Id: a", "X-Request-Id: b"], False),
    ],
)
def test_the_id_is_the_client_s_if_it_is_well_formed_and_one(fields, kept):
    ours, _ = make_pair(fields=["Host: x", *fields])
    assert (ours.request_id == "mine") == kept
    assert ours.headers.get_list("X-Request-Id") == [ours.request_id]
    assert ours.record.request_id == record_of(ours).request_id == ours.request_id


def test_headers_are_not_made_to_look_for_one():
    ours, _ = make_pair(fields=["Host: x", "Content-Type: text/plain"])
    assert ours.says("content-type")
    assert not ours.says("if-none-match")
    assert "headers" not in vars(ours)
    del ours.headers["Content-Type"]
    assert not ours.says("content-type")
    assert ours.says("x-request-id")


def test_a_record_that_is_made_late_knows_what_went_out():
    ours, _ = make_pair("/target")
    ours.status, ours.bytes_sent, ours.opened = 201, 7, ours.opened - 1
    record = record_of(ours)
    assert (record.status, record.bytes_sent, record.opened) == (201, 7, ours.opened)
    assert (record.owner, record.method, record.target, record.remote_addr) == (
        *("native", "GET", "/target", "192.0.2.7"),
    )
    assert record_of(ours) is record


def test_whether_a_body_comes():
    assert make_pair()[0].bodiless
    assert not make_pair(fields=["Host: x", "Content-Length: 1"])[0].bodiless


def test_who_replaces_how_a_request_is_made_is_obeyed(monkeypatch):
    """Some hide the addresses of clients that way, before anybody can read them."""
    theirs = HTTPServerRequest.__init__

    def hide(self, *args, **kwargs):
        theirs(self, *args, **kwargs)
        self.remote_ip = "hidden"
        self.headers["X-Forwarded-For"] = "hidden"

    monkeypatch.setattr(HTTPServerRequest, "__init__", hide)
    ours, theirs_made = make_pair("/path?a=1", fields=("Host: Here:80", "X-Forwarded-For: 198.51.100.1"))
    for name in ATTRIBUTES:
        assert getattr(ours, name) == getattr(theirs_made, name), name
    assert ours.headers["X-Forwarded-For"] == ours.remote_ip == record_of(ours).remote_addr == "hidden"
    assert ours.request_id
