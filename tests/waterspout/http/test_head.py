"""A request's head: what is accepted, what is refused, and that nothing can be understood in two ways."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waterspout.exceptions import NotHTTP, RequestRefused
from waterspout.http.head import TOKEN_BYTES, HeadLimits, parse_head, parse_trailers
from waterspout.message.framing import CHUNKED

TOKEN = st.text(sorted(map(chr, TOKEN_BYTES)), min_size=1, max_size=20)
VALUE = st.text("\t" + "".join(map(chr, [*range(0x20, 0x7F), *range(0x80, 0x100)])), max_size=40)


def head(*lines, first="GET / HTTP/1.1", host="x"):
    hosts = [f"Host: {host}"] if host is not None else []
    return parse_head("\r\n".join([first, *hosts, *lines, ""]))


def refused(*lines, **options):
    with pytest.raises(RequestRefused) as caught:
        head(*lines, **options)
    return caught.value


def test_a_plain_head():
    parsed = head("X-A: 1", "x-b:2 \t", "Empty:", first="GET /p?q=%20 HTTP/1.1")
    assert (parsed.method, parsed.target, parsed.version) == ("GET", "/p?q=%20", "HTTP/1.1")
    assert parsed.fields == [("Host", "x"), ("X-A", "1"), ("x-b", "2"), ("Empty", "")]
    assert parsed.names == {"host": "x", "x-a": "1", "x-b": "2", "empty": ""}
    assert (parsed.body_length, parsed.keep_alive, parsed.expects_continue) == (0, True, False)


@pytest.mark.parametrize(
    "first",
    [
        "",
        "GET",
        "GET /",
        " GET / HTTP/1.1",
        "GET\t/ HTTP/1.1",
        "GET / RTSP/1.0",
        "G(T / HTTP/1.1",
        "\x16\x03\x01",
    ],
)
def test_what_is_no_request_line(first):
    error = refused(first=first)
    assert isinstance(error, NotHTTP)


@pytest.mark.parametrize(
    "first",
    [
        "GET  / HTTP/1.1",
        "GET /a b HTTP/1.1",
        "GET / HTTP/1.1 ",
        "GET / HTTP/11",
        "GET / http/1.1",
        "GET /\0 HTTP/1.1",
        "GET /\nX HTTP/1.1",
    ],
)
def test_what_is_meant_for_one_gets_a_whole_reply(first):
    error = refused(first=first)
    assert not isinstance(error, NotHTTP)
    assert (error.status, str(error)) == (400, "Malformed HTTP request line")


@pytest.mark.parametrize("first", ["GET /# HTTP/1.1", "GET /\xe9 HTTP/1.1", "GET /?q=\xc3\xa9 HTTP/1.1"])
def test_a_target_that_was_not_escaped_is_told_so(first):
    error = refused(first=first)
    assert not isinstance(error, NotHTTP)
    assert (error.status, "percent-encoded" in str(error)) == (400, True)
    assert error.status == 400


@pytest.mark.parametrize("version", ["2.0", "0.9", "3.0"])
def test_other_versions(version):
    assert refused(first=f"GET / HTTP/{version}").status == 505


def test_a_later_minor_version_counts_as_1_1():
    """RFC 9110 section 2.5."""
    later = head("Expect: 100-continue", "Content-Length: 1", first="POST / HTTP/1.2")
    assert (later.version, later.keep_alive, later.expects_continue) == ("HTTP/1.1", True, True)


@pytest.mark.parametrize(
    "line",
    [
        "X",
        ": x",
        "X : 1",
        "X\t: 1",
        " X: 1",
        "X: a\0b",
        "X: a\rb",
        "X: a\nb",
        "X: a\x7fb",
        "X: a\x01b",
        "X\xe9: 1",
        "X: 1\r\n folded",
        "X: 1\r\n\tfolded",
        "X: 1\r\n",
        "(: 1",
    ],
)
def test_malformed_lines(line):
    assert refused(line).status == 400


@pytest.mark.parametrize("host", ["a/x", "a?", "a b", "a,b", "a@b", "[::1", "a:80:80", "a:x", "::1", "a\x80"])
def test_malformed_hosts(host):
    assert refused(host=host).status == 400
    if not set(host) & set("/?"):  # in a URL these end the authority
        assert refused(first=f"GET http://{host}z:z/ HTTP/1.1").status == 400


@pytest.mark.parametrize("host", ["", "x", "x:", "x:80", "[::1]", "[::1]:80", "1.2.3.4", "a_b", "%41"])
def test_hosts(host):
    assert head(host=host).names["host"] == host


def test_host_is_required_once():
    assert refused(host=None).status == 400
    assert head(host=None, first="GET / HTTP/1.0").names == {}
    assert refused("host: x").status == 400
    assert refused("Host: x", first="GET http://y/ HTTP/1.1").status == 400


@pytest.mark.parametrize("name", ["Content-Length", "Content-Type", "Transfer-Encoding", "transfer-ENCODING"])
def test_fields_that_may_stand_there_once(name):
    value = "chunked" if name.lower().startswith("t") else "5"
    assert refused(f"{name}: {value}", f"{name.lower()}: {value}").status == 400


@pytest.mark.parametrize(
    ("target", "host"),
    [
        ("http://y/p", "y"),
        ("HTTPS://y:80", "y:80"),
        ("http://user:pw@y/p", "y"),
        ("http://[::1]:1/", "[::1]:1"),
    ],
)
def test_the_authority_of_an_absolute_target_rules(target, host):
    parsed = head("X: 1", first=f"GET {target} HTTP/1.1")
    assert parsed.fields == [("Host", host), ("X", "1")]
    assert parsed.names["host"] == host
    assert parsed.target == target


@pytest.mark.parametrize("target", ["p", "http:///p", "http://user@/p", "ftp://x/", "*", "//", "?", "x:80"])
def test_targets_that_are_neither_path_nor_url(target):
    if target.startswith("/"):
        assert head(first=f"GET {target} HTTP/1.1").target == target
    else:
        assert refused(first=f"GET {target} HTTP/1.1").status == 400


def test_targets_of_some_methods():
    assert head(first="OPTIONS * HTTP/1.1").target == "*"
    assert refused(first="CONNECT x:80 HTTP/1.1").status == 405
    assert head(first="MKCOL //a/../b HTTP/1.1").target == "//a/../b"


@pytest.mark.parametrize("value", ["+5", "-5", "0x5", "5_0", "5, 5", "5,6", "", " ", "\xb2", "5 5", "9" * 65])
def test_malformed_lengths(value):
    assert refused(f"Content-Length: {value}").status == 400


@pytest.mark.parametrize(
    "value", ["gzip", "gzip, chunked", "chunked, chunked", ",chunked", "", "\x0bchunked"]
)
def test_codings_that_are_not_chunked(value):
    assert refused(f"Transfer-Encoding: {value}").status == 400


def test_body_lengths():
    assert head("Content-Length: 007").body_length == 7
    assert head("Content-Length: 0").body_length == 0
    assert head("Transfer-Encoding: Chunked").body_length == CHUNKED
    assert refused("Transfer-Encoding: chunked", "Content-Length: 5").status == 400
    assert refused("Transfer-Encoding: chunked", first="GET / HTTP/1.0").status == 400


@pytest.mark.parametrize(
    ("version", "lines", "keeps"),
    [
        ("1.1", [], True),
        ("1.1", ["Connection: close"], False),
        ("1.1", ["Connection: x,\tCLOSE , y"], False),
        ("1.1", ["Connection: close", "Connection: x"], False),
        ("1.1", ["Connection: x", "Connection: close"], False),
        ("1.1", ["Connection: enclosed"], True),
        ("1.0", [], False),
        ("1.0", ["Connection: Keep-Alive"], True),
        ("1.0", ["Connection: keep-alive, close"], False),
    ],
)
def test_keep_alive(version, lines, keeps):
    assert head(*lines, first=f"GET / HTTP/{version}").keep_alive is keeps


@pytest.mark.parametrize(
    ("version", "length", "value", "expects"),
    [("1.1", 5, "100-Continue", True), ("1.1", 0, "100-continue", False), ("1.0", 5, "100-continue", False)],
)
def test_expectations(version, length, value, expects):
    lines = (f"Expect: {value}", f"Content-Length: {length}")
    assert head(*lines, first=f"POST / HTTP/{version}").expects_continue is expects
    assert not head("Expect: x", "Content-Length: 5").expects_continue


def test_limits():
    bounds = HeadLimits(request_line=20, head=1000, fields=2, field=30)
    text = "GET {} HTTP/1.1\r\nHost: x\r\n"
    assert parse_head(text.format("/" * 7), bounds).target == "/" * 7
    for target in ("/" * 8, "no path" * 8):
        with pytest.raises(RequestRefused) as caught:
            parse_head(text.format(target), bounds)
        assert caught.value.status == 414
    for lines in ("A: 1\r\nB: 2\r\n", f"A: {'x' * 30}\r\n"):
        with pytest.raises(RequestRefused) as caught:
            parse_head(text.format("/") + lines, bounds)
        assert caught.value.status == 431


def test_trailers():
    parse_trailers("", HeadLimits())
    parse_trailers("Host: a b\r\nHost: c\r\n", HeadLimits())
    for lines, status in (("X : 1\r\n", 400), ("X: 1\n", 400), ("X: 1\r\n" * 101, 431)):
        with pytest.raises(RequestRefused) as caught:
            parse_trailers(lines, HeadLimits())
        assert caught.value.status == status


@given(st.lists(st.tuples(TOKEN.map(lambda name: f"x{name}"), VALUE), max_size=20))
def test_fields_come_as_they_were_sent(fields):
    parsed = head(*(f"{name}:{value}" for name, value in fields))
    assert parsed.fields[1:] == [(name, value.strip(" \t")) for name, value in fields]
    assert parsed.names == {name.lower(): value for name, value in parsed.fields}


@given(st.text(st.characters(max_codepoint=255)))
def test_no_text_raises_anything_but_a_refusal(text):
    for whole in (text, f"GET {text} HTTP/1.1\r\nHost: x\r\n", f"GET / HTTP/1.1\r\nHost: x\r\n{text}\r\n"):
        try:
            parsed = parse_head(whole)
        except RequestRefused as refusal:
            status = refusal.status
            assert 400 <= status <= 505
        else:
            # Serialised again, it is what was received: nothing has been repaired.
            again = "".join(f"{name}: {value}\r\n" for name, value in parsed.fields)
            assert (
                parse_head(f"{parsed.method} {parsed.target} {parsed.version}\r\n{again}").names
                == parsed.names
            )
