"""The everyday interface."""

import subprocess
import sys

import pytest

import waterspout
from tests.server import ROOT
from tests.waterspout.processes import run_python

#: Dotted names that the documents write.
DOTTED = (
    "http.HTTPServer",
    "native.JSONHandler",
    "native.RequestHandler",
    "native.live.StreamHandler",
    "service.folder.Folder",
    "service.keys.keep_key",
    "service.newest.Newest",
    "service.sessions.FlaskSessions",
    "service.sites.is_cross_site",
    "service.sniffing.sniff",
    "service.sql.AsyncStore",
    "testing.serving",
    "wsgi.client_alive",
)


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


@pytest.mark.parametrize("name", DOTTED)
def test_dotted_names_need_no_other_import(name):
    assert run_python(f"import waterspout\nprint(waterspout.{name}.__name__)") == name.rpartition(".")[2]


def test_what_a_folder_lacks_is_said_as_ever():
    for folder in (waterspout, waterspout.native, waterspout.service):
        with pytest.raises(AttributeError, match=f"module '{folder.__name__}' has no attribute 'nonsense'"):
            folder.nonsense  # noqa: B018  the access is what is tested
    assert set(dir(waterspout)) >= {"http", "native", "service", "testing", "wsgi", "Application"}


def test_an_extra_that_is_missing_is_named_by_the_dotted_name_too():
    code = "import sys; sys.modules['sqlalchemy'] = None; import waterspout; waterspout.service.sql"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1].startswith(
        "ImportError: waterspout.service.sql needs the extra sql: "
    )


def test_type_checkers_know_them(tmp_path):
    pytest.importorskip("mypy")
    names = "\n".join(f"reveal_type(waterspout.{name})" for name in DOTTED)
    wrong = "waterspout.native.Nonsense\nwaterspout.service.nonsense"
    (tmp_path / "dotted.py").write_text(f"import waterspout\n{names}\n{wrong}\n")
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", tmp_path, tmp_path / "dotted.py"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    notes = [line for line in done.stdout.splitlines() if "Revealed type" in line]
    assert len(notes) == len(DOTTED)
    assert not [line for line in notes if '"Any"' in line]
    assert done.stdout.count("has no attribute") == 2
