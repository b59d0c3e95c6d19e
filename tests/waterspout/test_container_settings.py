"""Which settings of an application are its container's."""

import inspect

import pytest

from waterspout.container_settings import CONTAINER_SETTINGS, check_names, make_container
from waterspout.exceptions import ConfigurationError
from waterspout.wsgi.container import Container


def test_each_name_is_one_that_the_container_takes():
    taken = inspect.signature(Container.__init__).parameters
    assert set(CONTAINER_SETTINGS.values()) <= set(taken)


def test_settings_reach_the_container_by_its_own_names():
    container = make_container("a:b", {"wsgi_threads": 3, "cookie_secret": "x"})
    assert container.pool.settings.threads == 3


def test_a_container_takes_the_settings_that_both_sides_have():
    own = Container("a:b", threads=3, max_body_size=7)
    assert make_container(own, {"graceful_timeout": 5, "root_path": "/shop"}) is own
    assert (own.pool.settings.graceful_timeout, own.pool.settings.threads, own.max_body_size) == (5, 3, 7)
    assert own.proxies.root_path == "/shop"


def test_no_app_needs_no_container():
    assert make_container(None, {"cookie_secret": "x"}) is None


@pytest.mark.parametrize("name", ["cookie_secret", "plugin_loader", "xsrf_cookies", "max_clients", "debug"])
def test_what_is_tornado_s_or_the_app_s_is_left_alone(name):
    check_names({name: 1})


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("login_loder", "did you mean 'login_loader'"),
        ("wsgi_pool", "did you mean 'wsgi_pools'"),
        ("url_converter", "did you mean 'url_converters'"),
        ("wsgi_nonsense", "there are wsgi_workers"),
    ],
)
def test_what_is_nearly_one_of_ours_is_refused(name, hint):
    with pytest.raises(ConfigurationError, match=hint):
        check_names({name: 1})
