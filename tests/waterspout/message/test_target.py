"""A request's target is taken apart, and nothing in it is changed."""

import pytest

from waterspout.message.target import split_target


@pytest.mark.parametrize(
    ("target", "split"),
    [
        ("/", ("", "/", "")),
        ("/a/b", ("", "/a/b", "")),
        ("/a?", ("", "/a", "")),
        ("/a?b?c=d", ("", "/a", "b?c=d")),
        ("//a//b", ("", "//a//b", "")),
        ("/../a/./b", ("", "/../a/./b", "")),
        ("/to/http://other/path?x", ("", "/to/http://other/path", "x")),
        ("/?next=http://other/", ("", "/", "next=http://other/")),
        ("*", ("", "*", "")),
        ("http://host/path?query", ("host", "/path", "query")),
        ("HTTPS://host:8443/path", ("host:8443", "/path", "")),
        ("http://host", ("host", "/", "")),
        ("http://host?query", ("host", "/", "query")),
        ("http://host?to=/path", ("host", "/", "to=/path")),
        ("http://host/a?b=http://c/d", ("host", "/a", "b=http://c/d")),
        ("http://[2001:db8::1]:8080/a", ("[2001:db8::1]:8080", "/a", "")),
        ("http://[::1]", ("[::1]", "/", "")),
        ("http:///path", ("", "/path", "")),
    ],
)
def test_a_target_is_split_and_nothing_in_it_is_changed(target, split):
    assert split_target(target) == split
