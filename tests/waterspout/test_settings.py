"""What `waterspout serve` is told is checked once."""

import dataclasses
import math

import pytest

from waterspout import limits
from waterspout.exceptions import ConfigurationError
from waterspout.settings import ServeSettings, is_local


def test_the_defaults_are_fit_to_serve():
    settings = ServeSettings()
    assert (settings.host, settings.port, settings.loop) == ("127.0.0.1", 8888, "auto")
    assert not settings.debug
    assert settings.access_log
    assert settings.application == {}


def test_they_never_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        ServeSettings().port = 1


def test_each_has_options_of_its_own():
    assert ServeSettings().application is not ServeSettings().application


@pytest.mark.parametrize("seconds", [0, 0.1, 30, 1e9])
def test_a_graceful_timeout_is_any_time(seconds):
    assert ServeSettings(graceful_timeout=seconds).graceful_timeout == seconds


@pytest.mark.parametrize("seconds", [-1, -0.1, math.inf, math.nan])
def test_what_is_no_time_is_refused(seconds):
    with pytest.raises(ConfigurationError, match="graceful timeout"):
        ServeSettings(graceful_timeout=seconds)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost"])
def test_debug_is_for_loopback(host):
    assert is_local(host)
    assert ServeSettings(host=host, debug=True).debug


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "192.0.2.1", "example.com", "", "localhost.evil", "127.0.0.1.x"]
)
def test_debug_anywhere_else_is_refused(host):
    assert not is_local(host)
    assert ServeSettings(host=host).host == host
    with pytest.raises(ConfigurationError, match="loopback only"):
        ServeSettings(host=host, debug=True)


@pytest.mark.parametrize(
    ("told", "place"), [({"unix": "/run/s"}, "unix:/run/s"), ({"descriptors": (3,)}, "an inherited socket")]
)
def test_debug_where_a_proxy_may_listen_for_the_world_is_refused(told, place):
    with pytest.raises(ConfigurationError, match=f"anyone who can reach {place} run code.*loopback only"):
        ServeSettings(**told, debug=True)


def test_the_limits_are_those_of_the_http_server():
    settings = ServeSettings().http
    assert (settings.head.request_line, settings.head.head) == (limits.REQUEST_LINE, limits.HEAD_SIZE)
    assert (settings.head_timeout, settings.write_timeout) == (limits.HEAD_TIMEOUT, limits.WRITE_TIMEOUT)
