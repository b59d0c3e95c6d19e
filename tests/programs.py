"""Programs that some tests need and not every machine has."""

import os

import pytest


def miss(reason, variable):
    """Skip the test that can't run here; fail it where `variable` is set, as it is in CI: nothing may be
    skipped there unnoticed.
    """
    if os.environ.get(variable):
        pytest.fail(f"{reason}, and {variable} is set")
    pytest.skip(reason)
