"""The documents are true as far as a machine can tell: links lead somewhere, named tests exist."""

import ast
import re
from pathlib import Path

import pytest

from tests import options_table
from waterspout import limits
from waterspout.http import HeadLimits, HTTPSettings
from waterspout.websocket.writer import UNSENT, UNSENT_MESSAGES

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
BEHAVIOUR = ROOT / "docs" / "behaviour.md"
ENGINE = ROOT / "waterspout"


def anchors(document):
    """The anchors of its headings, as they are made on the web."""
    titles = re.findall(r"^#+ (.*)$", document.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document):
    for path, anchor in re.findall(r"\]\(([^)#\s]*)#?([^)\s]*)\)", document.read_text()):
        if "://" in path:
            continue
        target = document.parent / path if path else document
        assert target.exists(), path
        assert not anchor or anchor in anchors(target), f"{path}#{anchor}"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("BACKLOG_LOOK", 0.003, "goes to other lanes after 3 ms without progress"),
        ("BODY_PAUSE", 0.5, "its client pauses for half a second"),
        ("DRAIN_IDLE", 0.5, "Idle connections are closed after 0.5 s"),
        ("EXPECT_PATIENCE", 1.0, "but after a second if no lane is to spare"),
        ("HALF_CLOSED_QUEUED", 0.1, "is waited with for 0.1 s"),
        ("IDLE_FOR_OTHERS", 5.0, "asked for 5 s it closes some, the longest idle first"),
        ("LINGER", 2.0, "until the client closes, for 2 s at most"),
        ("LINGER_LONGEST", 30.0, "until nothing has come for 2 s, for 30 s or 1 GiB at most"),
        ("POLL_PATIENCE", 25.0, "after 25 seconds when there is none"),
        ("STANDING_GRACE", 20.0, "one that blocks the event loop ends the process 20 s after it"),
        ("STOP_GRACE", 5.0, "is cancelled 5 s after `--graceful-timeout`"),
        ("STRETCH_TIME_FULL", 0.5, "and after half a second already"),
        ("UPLOAD_STALL", 1.0, "When the body has stood still for a second"),
    ],
)
def test_the_contract_s_times_are_those_of_the_code(name, value, said):
    """Other tests allow longer times than these, as a machine may be slow."""
    assert said in " ".join(BEHAVIOUR.read_text().split())
    assert getattr(limits, name) == value


def test_so_are_the_limits_of_a_websocket_that_takes_nothing():
    assert "leaves 16 MiB unread, or has sent 1000 messages while" in BEHAVIOUR.read_text()
    assert (UNSENT, UNSENT_MESSAGES) == (16 * limits.MIB, 1000)


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
    """By a path from the project's root, the engine, or the engine's WSGI side."""
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
