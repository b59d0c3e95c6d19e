"""The private names of Tornado that we use are still there, and still what they were."""

import copy
import inspect
import pickle
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tornado import http1connection, httpserver, httputil, iostream, routing
from tornado.httputil import HTTPHeaders, HTTPInputError

from waterspout.http.private import (
    CallableDelegate,
    GzipMessageDelegate,
    ReplyHeaders,
    RequestContext,
    RequestHeaders,
    is_all_sent,
    max_arguments,
    normalize_header,
)

NAMES = st.sampled_from(["A", "a", "B-c", "b-C", "Cookie", "x"])
FIELDS = st.lists(st.tuples(NAMES, st.sampled_from(["", "1", "2, 3", "\xe9"])), max_size=6)
CHANGES = st.lists(st.tuples(st.sampled_from(["add", "set", "del", "pop", "get"]), NAMES), max_size=5)


class StreamOfTornado:
    """What Tornado's context asks of a stream."""

    def __init__(self, family):
        self.socket = socket.socket(family)


def parameters(function):
    return list(inspect.signature(function).parameters)


def ours(fields):
    return RequestHeaders(list(fields), {name.lower(): value for name, value in fields})


def theirs(fields):
    headers = HTTPHeaders()
    for name, value in fields:
        headers.add(name, value)
    return headers


def test_the_delegate_that_decompresses():
    assert GzipMessageDelegate is http1connection._GzipMessageDelegate
    assert parameters(GzipMessageDelegate) == ["delegate", "chunk_size", "max_body_size"]
    assert issubclass(GzipMessageDelegate, httputil.HTTPMessageDelegate)
    for name in ("headers_received", "data_received", "finish", "on_connection_close"):
        assert name in vars(GzipMessageDelegate)


@pytest.mark.gen_test
async def test_what_gives_a_function_its_request():
    called = []
    router = routing.RuleRouter(
        [routing.Rule(routing.PathMatches(r"/(.*)"), lambda *a, **b: called.append((a, b)))]
    )
    connection, other = httputil.HTTPConnection(), httputil.HTTPConnection()
    start_line = httputil.RequestStartLine("POST", "/x", "HTTP/1.1")
    headers = HTTPHeaders({"Host": "x"})
    request = httputil.HTTPServerRequest(connection=connection, start_line=start_line, headers=headers)
    delegate = router.find_handler(request)
    assert type(delegate) is CallableDelegate is httpserver._CallableAdapter
    assert delegate.connection is connection
    assert callable(delegate.request_callback.func)
    delegate.connection = other
    delegate.headers_received(start_line, headers)
    delegate.data_received(b"body")
    delegate.finish()
    [((given,), named)] = called
    assert (given.connection, given.body) == (other, b"body")
    assert named == {"path_args": [b"x"], "path_kwargs": {}}


@pytest.mark.parametrize(
    ("headers", "chunks", "is_sent"),
    [
        ({"Content-Length": "5"}, [b"whole"], True),
        ({"Content-Length": "5"}, [b"who"], False),
        ({"Content-Length": "5"}, [b"who", b"le"], True),
        ({}, [b"whole"], False),
    ],
)
@pytest.mark.gen_test
async def test_whether_all_is_sent(headers, chunks, is_sent):
    ours, theirs = socket.socketpair()
    stream = iostream.IOStream(ours)
    connection = http1connection.HTTP1Connection(stream, False)
    connection._request_start_line = httputil.RequestStartLine("GET", "/", "HTTP/1.1")
    connection._request_headers = HTTPHeaders()
    assert not is_all_sent(connection)
    start_line = httputil.ResponseStartLine("HTTP/1.1", 200, "OK")
    await connection.write_headers(start_line, HTTPHeaders(headers), chunks[0])
    for chunk in chunks[1:]:
        await connection.write(chunk)
    assert is_all_sent(connection) == is_sent
    stream.close()
    theirs.close()


@pytest.mark.parametrize(
    ("family", "address"),
    [(socket.AF_INET, ("1.2.3.4", 5)), (socket.AF_INET6, ("::1", 5, 0, 0)), (socket.AF_UNIX, "")],
)
@pytest.mark.parametrize("protocol", ["http", "https"])
def test_the_context_has_what_tornados_has(family, address, protocol):
    stream = StreamOfTornado(family)
    with stream.socket:
        their = httpserver._HTTPRequestContext(stream, address, protocol, ["9.9.9.9"])
        our = RequestContext(address, family, protocol, protocol == "https", frozenset(["9.9.9.9"]))
    assert vars(our).keys() - {"is_secure"} == vars(their).keys()
    for name, value in vars(their).items():
        assert getattr(our, name) == value
    assert str(our) == str(their)
    headers = HTTPHeaders({"X-Forwarded-For": "4.4.4.4, 9.9.9.9", "X-Scheme": "https"})
    for context in (our, their):
        context._apply_xheaders(headers)
        assert (context.remote_ip, context.protocol) == ("4.4.4.4", "https")
        context._unapply_xheaders()
        assert context.protocol == protocol


def test_the_parameters_of_the_context():
    found = parameters(httpserver._HTTPRequestContext)
    assert found == ["stream", "address", "protocol", "trusted_downstream"]


def test_the_inside_of_headers():
    assert normalize_header is httputil._normalize_header
    assert parameters(normalize_header) == ["name"]
    assert normalize_header("coOKie-x") == "Cookie-X"
    headers = theirs([("a", "1"), ("A", "2")])
    assert headers._as_list == {"A": ["1", "2"]}
    assert isinstance(headers._combined_cache, dict)
    assert vars(headers).keys() == {"_as_list", "_combined_cache", *(["_last_key"] if has_last_key() else [])}


def test_how_many_arguments_a_query_may_have(monkeypatch):
    assert max_arguments() == httputil._DEFAULT_PARSE_BODY_CONFIG.urlencoded.max_arguments > 100
    config = httputil.ParseBodyConfig(urlencoded=httputil.ParseUrlEncodedConfig(max_arguments=7))
    monkeypatch.setattr(httputil, "_DEFAULT_PARSE_BODY_CONFIG", httputil._DEFAULT_PARSE_BODY_CONFIG)
    httputil.set_parse_body_config(config)
    assert max_arguments() == 7


def has_last_key():
    return "_last_key" in vars(HTTPHeaders())


def reply_headers(fields):
    """A reply's headers, with `fields` added one by one."""
    headers = ReplyHeaders({"Server": "s"})
    del headers["server"]
    for name, value in fields:
        headers.add(name, value)
    return headers


def test_the_headers_of_a_reply():
    headers = ReplyHeaders({"Content-Type": "text/plain", "Set-Cookie": "a"})
    assert list(headers.get_all()) == [("Content-Type", "text/plain"), ("Set-Cookie", "a")]
    headers.add("set-cookie", "c")
    assert headers.plain is None
    assert headers.get_list("Set-Cookie") == ["a", "c"]
    assert headers["content-type"] == "text/plain"
    with pytest.raises(AttributeError):
        headers.nothing  # noqa: B018 - that is the question
    with pytest.raises(HTTPInputError):
        headers.add("bad name", "x")


@pytest.mark.parametrize("name", ["bad name", "X:", "X\r\nY", "", "\xe9"])
@pytest.mark.parametrize("values", [1, 2])
def test_a_reply_has_no_field_without_a_valid_name(name, values):
    headers = ReplyHeaders({})
    for number in range(values):
        headers.add("Set-Cookie", str(number))
    for _ in range(2):
        with pytest.raises(HTTPInputError, match="header name"):
            headers[name] = "x"
    assert len(list(headers.get_all())) == values


@given(FIELDS, CHANGES)
def test_the_headers_of_a_reply_are_as_tornados_are(fields, changes):
    our, their = reply_headers(fields), theirs(fields)
    for how, name in changes:
        assert change(our, how, name) == change(their, how, name)
        for other in ("A", "a", "b-c", "Cookie", "nobody"):
            assert our.get(other) == their.get(other)
            assert (other in our) == (other in their)
    assert (5 in our) is False
    assert list(our.get_all()) == list(their.get_all())
    copies = [our.copy(), copy.deepcopy(our), pickle.loads(pickle.dumps(our)), HTTPHeaders(our)]
    assert all(one == their for one in copies)
    assert [our.get_list(name) for name in ("A", "b-C")] == [their.get_list(name) for name in ("A", "b-C")]
    assert (len(our), list(our), str(our)) == (len(their), list(their), str(their))


def test_the_fields_of_a_request_stay_in_their_order_and_have_tornados_capitals():
    headers = ours([("x-MiXed", "1"), ("A", "2")])
    assert list(headers.get_all()) == [("X-Mixed", "1"), ("A", "2")]
    headers["New"] = "3"
    del headers["a"]
    assert list(headers.get_all()) == [("X-Mixed", "1"), ("New", "3")]
    assert str(headers) == "X-Mixed: 1\nNew: 3\n"
    assert list(headers.get_all()) == [("X-Mixed", "1"), ("New", "3")]  # the same after an earlier look
    with pytest.raises(KeyError):
        del headers["A"]
    with pytest.raises(KeyError):
        headers["A"]
    with pytest.raises(AttributeError):
        headers.nothing  # noqa: B018 - that is the question


def normalized(headers):
    return sorted((normalize_header(name), value) for name, value in headers.get_all())


def change(headers, how, name):
    """What the headers answer, or the type of the error."""
    try:
        if how == "add":
            return headers.add(name, "new")
        if how == "set":
            headers[name] = "set"
            return None
        if how == "del":
            del headers[name]
            return None
        return headers.pop(name) if how == "pop" else headers.get(name, "default")
    except KeyError:
        return KeyError


@given(FIELDS, CHANGES)
def test_they_are_headers_as_tornados_are(fields, changes):
    our, their = ours(fields), theirs(fields)
    for how, name in changes:
        assert change(our, how, name) == change(their, how, name)
        for other in ("A", "a", "b-c", "Cookie", "nobody"):
            assert our.get(other) == their.get(other)
            assert (other in our) == (other in their)
    assert normalized(our) == normalized(their)
    for name in ("A", "b-C", "cookie", "nobody"):
        assert our.get_list(name) == their.get_list(name)
    assert (len(our), sorted(our)) == (len(their), sorted(their))
    assert our == their
    assert copy.copy(our) == copy.deepcopy(our) == pickle.loads(pickle.dumps(our)) == their


@given(FIELDS, CHANGES)
def test_changes_are_not_seen_by_others_that_share_the_fields(fields, changes):
    names = {name.lower(): value for name, value in fields}
    before = list(fields), dict(names)
    our = RequestHeaders(fields, names)
    for how, name in changes:
        change(our, how, name)
    assert (fields, names) == before


@given(FIELDS, CHANGES)
def test_a_copy_is_independent(fields, changes):
    our = ours(fields)
    before = normalized(our)
    for duplicate in (our.copy(), copy.deepcopy(our), HTTPHeaders(our)):
        for how, name in changes:
            change(duplicate, how, name)
        assert normalized(our) == before
