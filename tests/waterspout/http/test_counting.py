"""How many connections there are, and can be."""

import resource
from types import SimpleNamespace

import pytest

from waterspout.http import counting
from waterspout.http.counting import count_connections, find_limit


def test_websockets_are_among_those_that_are_open():
    assert count_connections(7, SimpleNamespace(open_sockets=3))[:2] == (10, 3)


def test_an_application_that_does_not_count_them_has_an_unknown_number():
    assert count_connections(7, object())[:2] == (7, None)


@pytest.mark.parametrize(("soft", "limit"), [(1024, 1024), (resource.RLIM_INFINITY, None)])
def test_the_limit_is_that_of_this_moment(monkeypatch, soft, limit):
    monkeypatch.setattr(resource, "getrlimit", lambda which: (soft, resource.RLIM_INFINITY))
    assert find_limit() == limit


def test_a_system_without_such_limits_has_none(monkeypatch):
    monkeypatch.setattr(counting, "resource", None)
    assert find_limit() is None
