"""What takes long to load in this process is reported, with the place where it stands."""

import asyncio
import os
import re
import subprocess
import sys
import threading
import time

import pytest
from tornado.ioloop import IOLoop

from tests.server import START_DEADLINE, environment, poll
from waterspout import limits
from waterspout.logs import lateness
from waterspout.logs.lateness import said_when_late

HANGS = "import time\n\n\ndef connect():\n    time.sleep(60)\n\n\nconnect()\n"
#: What an app may do to configure its logging: by default, Python then turns other loggers off.
SILENCES = "import logging.config\nlogging.config.dictConfig({'version': 1})\n"
#: The command, with less patience.
COMMAND = (
    "from waterspout import cli, limits; limits.LOADING_SAID = limits.LOADING_SAID_AGAIN = 0.5; cli.main()"
)


@pytest.fixture
def said(monkeypatch):
    monkeypatch.setattr(limits, "LOADING_SAID", 0.05)
    lines = []
    monkeypatch.setattr(lateness, "say", lines.append)
    return lines


def test_it_is_said_where_it_stands_and_again_later(said, monkeypatch):
    monkeypatch.setattr(limits, "LOADING_SAID_AGAIN", 0.05)
    with said_when_late("shop:app"):
        assert poll(lambda: len(said) >= 2)
    assert re.fullmatch(r"shop:app has been loading for \d+ s; currently at \S+:\d+ in \w+", said[0])
    count = len(said)
    time.sleep(0.15)
    assert len(said) == count


def test_what_is_soon_loaded_is_not_spoken_of_and_leaves_no_thread(said, monkeypatch):
    monkeypatch.setattr(limits, "LOADING_SAID", 5)
    before = threading.active_count()
    with said_when_late("shop:app"):
        pass
    assert threading.active_count() == before
    with pytest.raises(ValueError, match="while imported"), said_when_late("shop:app"):
        raise ValueError("while imported")
    assert threading.active_count() == before
    assert said == []


def test_without_a_thread_it_is_loaded_in_silence(said, monkeypatch):
    def refuse(_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with said_when_late("shop:app"):
        loaded = True
    assert loaded


@pytest.mark.parametrize(
    "run",
    [
        "asyncio.run(asyncio.sleep(0.5))",
        "loop = asyncio.new_event_loop(); loop.run_until_complete(asyncio.sleep(0.5)); loop.close()",
        "loop = IOLoop(); loop.call_later(0.5, loop.stop); loop.start(); loop.close()",
    ],
)
def test_a_program_that_runs_an_event_loop_itself_is_told_what_to_change(said, run):
    def load():
        with said_when_late("shop:app"):
            exec(run, {"asyncio": asyncio, "IOLoop": IOLoop})

    loader = threading.Thread(target=load)
    loader.start()
    loader.join()
    assert "in an event loop that it runs itself: if that is the one in which it serves" in said[0]
    assert "(docs/recipe.md)" in said[0]


@pytest.mark.parametrize("silences", ["", SILENCES])
@pytest.mark.parametrize(
    "words",
    [
        ("--native", "late:routes", "--wsgi", "tests.apps.environs:app"),
        ("late:app",),
        ("--wsgi", "late:app", "--wsgi-workers", "0"),
    ],
)
def test_a_server_whose_code_hangs_as_it_is_loaded_says_where(tmp_path, words, silences):
    (tmp_path / "late.py").write_text(silences + HANGS)
    log = tmp_path / "log"
    with log.open("wb") as file:
        server = subprocess.Popen(
            [sys.executable, "-c", COMMAND, "serve", *words, "--port", "0"],
            cwd=tmp_path,
            env=environment(tmp_path, {"PWD": os.fspath(tmp_path)}),
            stdin=subprocess.DEVNULL,
            stderr=file,
        )
    try:
        name = next(word for word in words if word.startswith("late:"))
        line = 5 + silences.count("\n")
        pattern = rf"waterspout: {name} has been loading for \d+ s; currently at late\.py:{line} in connect\n"
        assert poll(lambda: len(re.findall(pattern, log.read_text())) >= 2, START_DEADLINE), log.read_text()
    finally:
        server.terminate()
        code = server.wait(START_DEADLINE)
    assert code == 0
