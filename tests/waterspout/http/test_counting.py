"""How many connections there are, and can be."""

from types import SimpleNamespace

from waterspout.http.counting import count_connections


def test_websockets_are_among_those_that_are_open():
    assert count_connections(7, SimpleNamespace(open_sockets=3))[:2] == (10, 3)


def test_an_application_that_does_not_count_them_has_an_unknown_number():
    assert count_connections(7, object())[:2] == (7, None)
