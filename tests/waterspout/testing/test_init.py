"""waterspout.testing is for tests of any kind."""

import pytest

from tests.waterspout.processes import run_python
from waterspout import testing


def test_it_needs_no_pytest():
    code = """
import sys
sys.modules["pytest"] = None
from waterspout.testing import know_native, published, serving
with published() as messages:
    import waterspout
    waterspout.publish("a", 1)
print(messages)
"""
    assert run_python(code) == "[('a', 1)]"


def test_all_names_are_there():
    assert all(getattr(testing, name) for name in testing.__all__)
    with pytest.raises(AttributeError, match="nobody"):
        testing.nobody  # noqa: B018 - the access is what raises
