"""What a pool can be told."""

import math

import pytest

from waterspout.exceptions import ConfigurationError
from waterspout.wsgi.settings import PoolSettings


@pytest.mark.parametrize(
    "changes",
    [
        {"timeout": 0},
        {"timeout": math.inf},
        {"timeout": math.nan},
        {"queue_timeout": 0.01},
        {"max_requests": -1},
        {"max_requests": 1.5},
        {"max_requests_jitter": -1},
        {"max_rss": -1},
        {"nice": -2},
        {"nice": 21},
        {"threads": "many"},
    ],
)
def test_a_number_that_can_t_be_is_refused_by_name(changes):
    with pytest.raises(ConfigurationError, match=f"wsgi {next(iter(changes))} must be"):
        PoolSettings(**changes)


def test_jitter_alone_is_refused():
    said = r"^wsgi max_requests_jitter is of no use without max_requests \(--wsgi-max-requests\): give both"
    with pytest.raises(ConfigurationError, match=said):
        PoolSettings(max_requests_jitter=5)
    assert PoolSettings(max_requests=1, max_requests_jitter=5).max_requests_jitter == 5


@pytest.mark.parametrize(("timeout", "ready_timeout"), [(1, 120), (60, 120), (600, 600)])
def test_a_longer_timeout_of_views_is_one_for_loading_the_app_too(timeout, ready_timeout):
    assert PoolSettings(timeout=timeout).ready_timeout == ready_timeout


@pytest.mark.parametrize(("workers", "crews"), [(0, 1), (1, 1), (4, 4)])
def test_the_threads_of_this_process_are_one_crew(workers, crews):
    assert PoolSettings(workers=workers).crews == crews
