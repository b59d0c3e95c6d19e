"""Which limit on a body counts: the application's, or its server's."""

from types import SimpleNamespace

import pytest

from waterspout.message.size import has_limit, lower_limit


@pytest.mark.parametrize(
    ("given", "limit"), [(None, 1000), (10, 10), (0, 0), (1000, 1000), (5000, 1000)], ids=str
)
def test_the_smaller_of_the_two_counts(given, limit):
    connection = SimpleNamespace(params=SimpleNamespace(max_body_size=given))
    assert lower_limit(connection, 1000) == limit
    assert has_limit(connection) == (given is not None)


def test_a_connection_that_has_no_parameters_has_no_limit_either():
    assert lower_limit(object(), 1000) == 1000
    assert not has_limit(object())
