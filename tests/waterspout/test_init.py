"""The everyday interface."""

import pytest

import waterspout
from tests.waterspout.processes import run_python


def test_every_name_of_the_interface_is_there():
    for name in waterspout.__all__:
        assert getattr(waterspout, name).__name__ == name


def test_any_other_name_is_missing():
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        waterspout.nonsense  # noqa: B018  the access is what is tested
    with pytest.raises(ImportError):
        from waterspout import nonsense  # noqa: F401  the import is what is tested


@pytest.mark.parametrize("statement", ["import waterspout", "from waterspout import NotServing"])
def test_importing_it_imports_no_server(statement):
    loaded = run_python(f"{statement}\nimport sys\nprint(*sys.modules)").split()
    assert not {"tornado", "asyncio", "click", "flask"}.intersection(loaded)
