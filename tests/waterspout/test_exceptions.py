"""An exception's class tells whose fault it is."""

import pytest

from waterspout import exceptions
from waterspout.exceptions import (
    ClientDisconnected,
    ConfigurationError,
    Decline,
    FrameError,
    InvalidResponse,
    NotServing,
    PoolError,
    RequestRefused,
    TargetNotFound,
    TargetRaised,
    WaterspoutError,
)

EVERY = [value for value in vars(exceptions).values() if isinstance(value, type)]


@pytest.mark.parametrize("error", EVERY)
def test_all_have_one_root(error):
    assert issubclass(error, WaterspoutError)
    assert not issubclass(WaterspoutError, (OSError, ValueError, RuntimeError))


@pytest.mark.parametrize("error", EVERY)
def test_all_stand_in_the_tree_at_the_top_of_the_file(error):
    assert error.__name__ in exceptions.__doc__


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (ConfigurationError, ValueError),
        (TargetNotFound, ConfigurationError),
        (NotServing, RuntimeError),
        (PoolError, RuntimeError),
        (ClientDisconnected, ConnectionError),
        (ClientDisconnected, OSError),
    ],
)
def test_they_are_also_what_a_caller_would_expect(error, builtin):
    assert issubclass(error, builtin)


def test_the_faults_of_operator_and_app_have_their_exit_codes():
    assert ConfigurationError.exit_code == TargetNotFound.exit_code == 2
    assert TargetRaised.exit_code == 3


def test_a_refused_request_knows_its_status():
    refused = RequestRefused(501, "a strange coding")
    assert (refused.status, str(refused)) == (501, "a strange coding")


@pytest.mark.parametrize("error", [InvalidResponse, FrameError, TargetRaised])
def test_the_faults_of_others_are_no_value_errors(error):
    """`except ValueError` in a view must not swallow them."""
    assert not issubclass(error, ValueError)


def test_where_nobody_takes_a_request_over_declining_says_who_can():
    assert str(Decline()).startswith("only a native handler can decline")
    assert str(Decline("legacy")) == "legacy"
