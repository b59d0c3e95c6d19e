"""The table of options; what they do together is tested with the command line."""

import pytest

from waterspout.options import find_misspelt


@pytest.mark.parametrize(
    "name", ["WATERSPOUT_WSGI_THREADS", "WATERSPOUT_COLOUR", "WSGI_THREAD", "PORT", "HOST"]
)
def test_what_is_an_option_or_nobody_s_is_no_matter(name):
    assert find_misspelt({name: "4"}) == []


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("WATERSPOUT_WSGI_THREAD", "WATERSPOUT_WSGI_THREADS"),
        ("WATERSPOUT_TRUSTED_PROXY", "WATERSPOUT_TRUSTED_PROXIES"),
        ("WATERSPOUT_ACESS_LOG", "WATERSPOUT_ACCESS_LOG"),
        ("WATERSPOUT_THREADS", "WATERSPOUT_WSGI_THREADS"),
        ("WATERSPOUT_TIMEOUT", "WATERSPOUT_WSGI_TIMEOUT"),
        ("WATERSPOUT_NO_ACCESS_LOG", "WATERSPOUT_ACCESS_LOG=0"),
        ("WATERSPOUT_NO_RELOAD", "WATERSPOUT_RELOAD=0"),
        ("WATERSPOUT_NO_DEBUG", "WATERSPOUT_DEBUG=0"),
    ],
)
def test_a_variable_that_is_nearly_an_option_is_told(name, meant):
    assert find_misspelt({name: "4"}) == [f"{name} is not an option and is ignored: did you mean {meant}?"]
