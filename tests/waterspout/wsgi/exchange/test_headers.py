"""Reply headers keep the case and the order that the app gave them, and are Tornado's headers otherwise."""

import copy

import pytest
from tornado.httputil import HTTPHeaders

from waterspout.wsgi.exchange.headers import WireHeaders

PAIRS = [("ETag", '"1"'), ("x-lower", "a"), ("WWW-Authenticate", "Basic"), ("X-LOWER", "b")]


@pytest.fixture
def headers():
    return WireHeaders(PAIRS)


def test_case_and_order_are_kept(headers):
    assert list(headers.get_all()) == PAIRS


def test_it_is_what_tornado_expects(headers):
    assert isinstance(headers, HTTPHeaders)


def test_the_list_it_was_made_of_is_not_its_own():
    pairs = [("A", "1")]
    headers = WireHeaders(pairs)
    pairs.append(("B", "2"))
    headers.add("C", "3")
    assert list(headers.get_all()) == [("A", "1"), ("C", "3")]
    assert pairs == [("A", "1"), ("B", "2")]


@pytest.mark.parametrize("name", ["ETag", "etag", "ETAG", "Etag"])
def test_a_name_is_found_in_any_case(headers, name):
    assert name in headers
    assert headers[name] == '"1"'
    assert headers.get(name) == '"1"'
    assert headers.get_list(name) == ['"1"']


def test_lines_of_one_name_are_joined_when_asked_for_as_one(headers):
    assert headers["X-Lower"] == "a,b"
    assert headers.get_list("x-lower") == ["a", "b"]


@pytest.mark.parametrize("name", ["Missing", "", "ETa"])
def test_what_is_not_there_is_not_found(headers, name):
    assert name not in headers
    assert headers.get(name) is None
    assert headers.get_list(name) == []
    with pytest.raises(KeyError):
        headers[name]
    with pytest.raises(KeyError):
        del headers[name]


@pytest.mark.parametrize("key", [None, 3, b"ETag"])
def test_what_is_no_name_is_not_in_it(headers, key):
    assert key not in headers


def test_each_name_is_counted_and_listed_once(headers):
    assert len(headers) == 3
    assert list(headers) == list(headers.keys()) == ["ETag", "x-lower", "WWW-Authenticate"]
    assert list(headers.items()) == [("ETag", '"1"'), ("x-lower", "a,b"), ("WWW-Authenticate", "Basic")]


def test_an_added_line_comes_last(headers):
    headers.add("X-Lower", "c")
    assert list(headers.get_all())[-1] == ("X-Lower", "c")
    assert headers.get_list("x-lower") == ["a", "b", "c"]


def test_a_set_value_replaces_all_lines_of_its_name(headers):
    headers["X-Lower"] = "only"
    assert headers.get_list("x-lower") == ["only"]
    assert len(headers) == 3


def test_a_set_value_of_a_new_name_is_added(headers):
    headers["Content-Length"] = "3"
    assert "content-length" in headers
    assert list(headers.get_all())[-1] == ("Content-Length", "3")


def test_a_deleted_name_is_gone_with_all_its_lines(headers):
    del headers["X-lower"]
    assert "x-lower" not in headers
    assert [name for name, _ in headers.get_all()] == ["ETag", "WWW-Authenticate"]
    assert len(headers) == 2


def test_pop_setdefault_update_and_clear_are_a_mapping_s(headers):
    assert headers.pop("etag") == '"1"'
    assert headers.pop("etag", "gone") == "gone"
    assert headers.setdefault("Vary", "Cookie") == "Cookie"
    headers.update({"vary": "Accept"})
    assert headers.get_list("Vary") == ["Accept"]
    headers.clear()
    assert list(headers.get_all()) == []
    assert not headers


@pytest.mark.parametrize("make", [copy.copy, WireHeaders.copy])
def test_a_copy_is_independent_and_keeps_the_case(headers, make):
    other = make(headers)
    other.add("B", "2")
    del other["ETag"]
    assert list(headers.get_all()) == PAIRS
    assert list(other.get_all()) == [*PAIRS[1:], ("B", "2")]
    assert isinstance(other, WireHeaders)


def test_as_text_it_is_what_was_given(headers):
    assert str(headers) == 'ETag: "1"\nx-lower: a\nWWW-Authenticate: Basic\nX-LOWER: b\n'
