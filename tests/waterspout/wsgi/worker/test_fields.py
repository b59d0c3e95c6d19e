"""Status lines and headers of replies: what is accepted, what is refused, what is dropped."""

import logging

import pytest

from waterspout.exceptions import InvalidResponse
from waterspout.wsgi.worker.fields import HOP_BY_HOP, check_header, check_headers, parse_status


@pytest.mark.parametrize(
    ("status", "parsed"),
    [
        ("200 OK", (200, "OK")),
        ("404 Not Found", (404, "Not Found")),
        ("200", (200, "")),
        ("200 ", (200, "")),
        ("200  OK ", (200, " OK ")),
        ("418 I'm a \tteapot", (418, "I'm a \tteapot")),
        ("500 Caf\xe9 \xff", (500, "Caf\xe9 \xff")),
        ("100 Continue", (100, "Continue")),
        ("999 Odd", (999, "Odd")),
        ("600", (600, "")),
    ],
)
def test_a_status_is_three_digits_and_perhaps_a_reason(status, parsed):
    assert parse_status(status) == parsed


@pytest.mark.parametrize(
    "status",
    [
        "",
        " ",
        "OK",
        "20 OK",
        "2000 OK",
        "200OK",
        "200\tOK",
        "200-OK",
        " 200 OK",
        "+200 OK",
        "2e2 OK",
        "000 None",
        "099 Low",
        "\u0662\u0660\u0660 OK",
        "200 OK\r\nX-Evil: 1",
        "200 OK\n",
        "200 OK\r",
        "200 O\0K",
        "200 \x7f",
        "200 \x1b[2J",
        "200 \u20ac",
        "200 \ud800",
        b"200 OK",
        200,
        200.0,
        None,
        ("200", "OK"),
    ],
)
def test_any_other_status_is_refused(status):
    with pytest.raises(InvalidResponse):
        parse_status(status)


@pytest.mark.parametrize("name", ["X", "x-y", "ETag", "!#$%&'*+-.^_`|~09Az"])
@pytest.mark.parametrize("value", ["", "plain", 'W/"1"', "two words", "a\tb", "Caf\xe9", "\xff", "\x80"])
def test_a_header_is_a_token_and_latin_1(name, value):
    check_header(name, value)


@pytest.mark.parametrize(
    "name",
    ["", " ", "a b", "a ", " a", "a:", ":", "a\n", "a\r", "a\0", "a\tb", "(a)", '"a"', "\xe9", "\u20ac"],
)
def test_any_other_name_is_refused(name):
    with pytest.raises(InvalidResponse, match="not a header name"):
        check_header(name, "value")


@pytest.mark.parametrize(
    "value",
    ["a\nb", "a\rb", "a\r\nX-Evil: 1", "\n", "a\0b", "\x01", "a\x1bb", "a\x7f", "\u20ac", "\ud800"],
)
def test_any_other_value_is_refused(value):
    with pytest.raises(InvalidResponse, match="not a header value"):
        check_header("X-Name", value)


@pytest.mark.parametrize(("name", "value"), [(b"X", "v"), ("X", b"v"), ("X", 7), (None, "v"), ("X", None)])
def test_names_and_values_are_native_strings(name, value):
    with pytest.raises(InvalidResponse, match="must be str"):
        check_header(name, value)


@pytest.mark.parametrize("headers", [(), (("A", "1"),), {}, {"A": "1"}, None, iter([]), "ab", [].__iter__])
def test_headers_are_a_list_and_nothing_like_one(headers):
    with pytest.raises(InvalidResponse, match="must be a list"):
        check_headers(headers)


@pytest.mark.parametrize("field", [(), ("A",), ("A", "1", "2"), None, 7, "A: 1"])
def test_a_header_is_a_pair(field):
    with pytest.raises(InvalidResponse, match="must be a \\(name, value\\) tuple"):
        check_headers([("X-Good", "1"), field])


def test_headers_keep_their_case_their_order_and_their_repetitions():
    headers = [("b", "1"), ("A", "2"), ("B", "3"), ("Set-Cookie", "x=1"), ("Set-Cookie", "y=2")]
    assert check_headers(headers).fields == [f"{name}: {value}\r\n" for name, value in headers]


def test_what_goes_out_is_the_text_that_was_checked():
    class Field(str):
        __slots__ = ()

        def __str__(self):
            return "no name\r\n"

        __format__ = strip = lambda self, _: str(self)

    assert check_headers([(Field("A"), Field(" b"))]).fields == ["A: b\r\n"]


def test_blanks_around_a_value_are_no_part_of_it():
    assert check_headers([("A", " \tb c\t "), ("B", "\xa0d\xa0")]).fields == [
        "A: b c\r\n",
        "B: \xa0d\xa0\r\n",
    ]


@pytest.mark.parametrize("name", sorted(HOP_BY_HOP))
@pytest.mark.parametrize("change", [str.lower, str.title, str.upper])
def test_hop_by_hop_headers_are_the_server_s(name, change):
    checked = check_headers([("X-Kept", "1"), (change(name), "chunked"), ("Y-Kept", "2")])
    assert checked.fields == ["X-Kept: 1\r\n", "Y-Kept: 2\r\n"]


def test_the_app_is_told_once_of_a_hop_by_hop_header(caplog, monkeypatch):
    monkeypatch.setattr("waterspout.wsgi.worker.fields._spoken_of", set())
    caplog.set_level(logging.WARNING, "waterspout.wsgi")
    for _ in range(3):
        check_headers([("Keep-Alive", "timeout=5")])
    assert caplog.text.lower().count("keep-alive") == 1


@pytest.mark.parametrize("value", ["bad\n", "\u20ac"])
def test_a_dropped_header_must_be_well_formed_too(value):
    with pytest.raises(InvalidResponse):
        check_headers([("Connection", value)])


@pytest.mark.parametrize(
    ("headers", "length"),
    [
        ([], -1),
        ([("X-Length", "5")], -1),
        ([("Content-Length", "5")], 5),
        ([("A", "1"), ("content-LENGTH", "0")], 0),
        ([("Content-Length", "9" * 18)], int("9" * 18)),
    ],
)
def test_a_length_is_found_in_any_case(headers, length):
    assert check_headers(headers).length == length


@pytest.mark.parametrize(
    "text", ["", "-1", "+1", "1.5", "0x1", "1_0", "1,1", "five", "\xb2", "9" * 19, "1 1"]
)
def test_a_malformed_length_is_refused(text):
    with pytest.raises(InvalidResponse, match="not a Content-Length"):
        check_headers([("Content-Length", text)])


@pytest.mark.parametrize("other", ["5", "6"])
def test_a_repeated_length_is_refused_even_if_it_agrees(other):
    with pytest.raises(InvalidResponse, match="not a Content-Length"):
        check_headers([("Content-Length", "5"), ("content-length", other)])
