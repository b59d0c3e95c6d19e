"""When .venv-bench is built again."""

import pytest

from benchmarks import environment
from benchmarks.errors import BenchmarkError


@pytest.fixture
def built(tmp_path, monkeypatch):
    """An environment whose stamp is current."""
    monkeypatch.setattr(environment, "PYTHON", tmp_path / "python")
    monkeypatch.setattr(environment, "STAMP", tmp_path / "stamp")
    monkeypatch.setattr(environment, "REQUIREMENTS", tmp_path / "requirements.txt")
    environment.REQUIREMENTS.write_text("flask\n")
    environment.PYTHON.touch()
    environment.STAMP.write_text(environment.fingerprint())
    return environment


def test_a_built_one_is_used_again(built):
    assert built.build() == built.PYTHON


@pytest.mark.parametrize("name", ["PYTHON", "STAMP"])
def test_half_a_one_is_not(built, name):
    getattr(built, name).unlink()
    assert not built.is_current()


def test_other_requirements_make_another(built):
    built.REQUIREMENTS.write_text("flask\ndjango\n")
    assert not built.is_current()


def test_a_failed_step_says_what_it_said():
    with pytest.raises(BenchmarkError, match=r"(?s)failed: sh .*no such package"):
        environment.run_step("sh", "-c", "echo no such package >&2; exit 1")
