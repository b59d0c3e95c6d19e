"""Where a request's body ends, and every way of leaving that in doubt."""

import pytest
from tornado.httputil import HTTPHeaders

from waterspout.exceptions import RequestRefused
from waterspout.limits import CONTENT_LENGTH_DIGITS
from waterspout.message.framing import CHUNKED, body_length


def headers_of(*fields):
    """Headers as a server might hand them on, which need not be as strict as Tornado's."""
    headers = HTTPHeaders()
    for name, value in fields:
        if name in headers:
            headers.add(name, value)
        else:
            headers[name] = value
    return headers


def length_of(version, headers, **options):
    """What `body_length` makes of these headers."""
    lengths, codings = headers.get_list("Content-Length"), headers.get_list("Transfer-Encoding")
    return body_length(version, lengths, codings, **options)


def status_of(version, headers, **options):
    """The status with which a request with these headers is refused."""
    with pytest.raises(RequestRefused) as caught:
        length_of(version, headers, **options)
    return caught.value.status


@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/1.0"])
def test_without_either_field_there_is_no_body(version):
    assert length_of(version, headers_of(("Host", "h"))) == 0


@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/1.0"])
@pytest.mark.parametrize(("text", "length"), [("0", 0), ("1", 1), ("007", 7), ("9" * 19, int("9" * 19))])
def test_a_content_length_is_a_number(version, text, length):
    assert length_of(version, headers_of(("content-length", text))) == length


MALFORMED_LENGTHS = [
    "",
    " ",
    "+1",
    "-1",
    "-0",
    "1_000",
    "0x10",
    "1.0",
    "1e3",
    "1 ",
    " 1",
    "1\t",
    "1 1",
    "1,1",
    "1, 1",
    "1;a=b",
    "abc",
    "\xb2",
    "\uff11",
    "\u0663",
    "9" * (CONTENT_LENGTH_DIGITS + 1),
    "0" * (CONTENT_LENGTH_DIGITS + 1),
    "9" * 5000,
]


@pytest.mark.parametrize("text", MALFORMED_LENGTHS)
def test_a_malformed_content_length_is_refused(text):
    assert status_of("HTTP/1.1", headers_of(("Content-Length", text))) == 400


@pytest.mark.parametrize("lengths", [("5", "5"), ("5", "6"), ("0", "0"), ("", "5")])
def test_a_repeated_content_length_is_refused_even_if_it_agrees(lengths):
    headers = headers_of(*(("Content-Length", length) for length in lengths))
    assert status_of("HTTP/1.1", headers) == 400


@pytest.mark.parametrize("coding", ["chunked", "Chunked", "CHUNKED"])
def test_chunked_is_chunked(coding):
    assert length_of("HTTP/1.1", headers_of(("Transfer-Encoding", coding))) == CHUNKED


@pytest.mark.parametrize(
    "coding",
    [
        "",
        "gzip",
        "identity",
        "gzip, chunked",
        "chunked, gzip",
        "chunked, chunked",
        "chunked,",
        ",chunked",
        "chunked ",
        " chunked",
        "chunked;a=b",
        "xchunked",
        "chunke",
        "\xa0chunked",
    ],
)
def test_any_other_coding_is_not_implemented(coding):
    assert status_of("HTTP/1.1", headers_of(("Transfer-Encoding", coding))) == 400


@pytest.mark.parametrize("codings", [("chunked", "chunked"), ("gzip", "chunked"), ("chunked", "identity")])
def test_a_repeated_coding_is_not_implemented(codings):
    headers = headers_of(*(("Transfer-Encoding", coding) for coding in codings))
    assert status_of("HTTP/1.1", headers) == 400


@pytest.mark.parametrize("coding", ["chunked", "gzip"])
@pytest.mark.parametrize("length", ["5", "0", "nonsense"])
def test_both_fields_are_a_smuggled_request(coding, length):
    headers = headers_of(("Content-Length", length), ("Transfer-Encoding", coding))
    assert status_of("HTTP/1.1", headers) == 400


def test_http_1_0_knows_no_chunked_bodies():
    assert status_of("HTTP/1.0", headers_of(("Transfer-Encoding", "chunked"))) == 400


def test_an_unpacked_body_is_as_long_as_it_turns_out():
    """Tornado's `decompress_request` leaves the length of the compressed body in place."""
    assert length_of("HTTP/1.1", headers_of(("Content-Length", "20")), unpacked=True) == CHUNKED
    assert length_of("HTTP/1.1", headers_of(), unpacked=True) == 0


def test_an_unpacked_body_needs_a_right_length_too():
    with pytest.raises(RequestRefused):
        length_of("HTTP/1.1", headers_of(("Content-Length", "+20")), unpacked=True)


def test_a_header_alone_does_not_make_a_body_unpacked():
    """A client can send it; only the server knows whether it is true."""
    headers = headers_of(("Content-Length", "20"), ("X-Consumed-Content-Encoding", "gzip"))
    assert length_of("HTTP/1.1", headers) == 20
