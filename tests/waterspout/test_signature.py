"""What a function can be called with: refused only where Python would refuse the call for certain."""

import functools
import inspect

import pytest

from waterspout.signature import read_signature, takes


def none():
    pass


def two(one, other):
    pass


def named(request, *, page):
    pass


def pass_two(function):
    """Call it with other arguments than the decorated function takes, as `Request.application` does."""

    @functools.wraps(function)
    def passed(one, other):
        return function()

    return passed


def claim(signature_of):
    def injected(*args):
        pass

    injected.__signature__ = inspect.signature(signature_of)
    return injected


class Unevaluated:
    @property
    def __signature__(self):
        raise NameError("name 'Config' is not defined")

    def __call__(self):
        pass


@pytest.mark.parametrize(
    ("function", "count", "names", "expected"),
    [
        (none, 0, (), True),
        (none, 1, (), False),
        (two, 2, (), True),
        (two, 0, (), False),
        (two, 1, ("other",), True),
        (two, 1, ("another",), False),
        (named, 1, ("page",), True),
        (named, 2, (), False),
        (functools.partial(two, 1), 1, (), True),
        (functools.partial(two, 1), 2, (), False),
        (pass_two(none), 2, (), True),
        (pass_two(none), 0, (), False),
        (claim(none), 2, (), True),
        (Unevaluated(), 7, (), True),
    ],
)
def test_what_a_function_takes(function, count, names, expected):
    assert takes(function, count, names) is expected


def test_the_signature_is_that_of_the_decorator_s_function():
    assert [*read_signature(pass_two(none)).parameters] == ["one", "other"]


@pytest.mark.parametrize("function", [claim(two), Unevaluated()])
def test_a_signature_that_can_t_be_known(function):
    assert read_signature(function) is None
