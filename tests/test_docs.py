"""The documents are true as far as a machine can tell: links lead somewhere, named tests exist."""

import ast
import re
from pathlib import Path

import pytest

from tests import options_table
from waterspout.http import HeadLimits, HTTPSettings

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
BEHAVIOUR = ROOT / "docs" / "behaviour.md"
ENGINE = ROOT / "waterspout"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text()):
        if "://" not in target:
            assert (document.parent / target).exists(), target


def promises():
    """Each bullet of the contract."""
    return re.split(r"^- ", re.sub(r"^#.*$", "", BEHAVIOUR.read_text(), flags=re.M), flags=re.M)[1:]


@pytest.mark.parametrize("promise", promises(), ids=lambda text: " ".join(text.split())[:50])
def test_each_promise_has_a_test(promise):
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", promise)
    assert named, "no test is named"
    for path, name in named:
        assert f"def {name}(" in (ROOT / "tests" / path).read_text(), f"{path}::{name}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_nothing_is_left_to_be_filled_in(document):
    assert not re.search(r"@[A-Z_]+@|TODO|TBD", document.read_text())


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_named_files_exist(document):
    for path in re.findall(
        r"`((?:waterspout|tests|docs|benchmarks|app|handlers|wsgi_app)/[\w./]*)`", document.read_text()
    ):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_modules_are_named_by_where_they_stand(document):
    """Above the project, the engine, or its side of WSGI."""
    for path in re.findall(r"`([\w]+/[\w/]*\.py)`", document.read_text()):
        homes = (ROOT, ROOT / "waterspout", ROOT / "waterspout" / "wsgi")
        assert path.startswith("yourpackage/") or any((home / path).exists() for home in homes), path


@pytest.mark.parametrize(
    "folder",
    sorted(path.parent for path in ENGINE.rglob("*/__init__.py")),
    ids=lambda path: str(path.relative_to(ENGINE)),
)
def test_each_folder_of_the_engine_says_what_is_in_it(folder):
    said = ast.get_docstring(ast.parse((folder / "__init__.py").read_text()))
    told = set(re.findall(r"\w+", said))
    assert {path.stem for path in folder.glob("*.py")} - {"__init__"} - told == set()


def test_the_tables_of_options_are_what_the_options_say():
    assert options_table.read_tables() == options_table.print_tables(), "make options writes it anew"


def test_the_settings_of_the_http_server_are_shown_with_their_defaults():
    shown = re.search(r"^settings = .*?^\)$", (ROOT / "docs" / "http.md").read_text(), re.M | re.S)[0]
    names = {"HTTPSettings": HTTPSettings, "HeadLimits": HeadLimits}
    exec(shown, names)
    assert names["settings"] == HTTPSettings()
