"""Processes that take long to load the app: where they stand is reported, and they can be given up."""

import asyncio
import logging
import re

import pytest

from tests.waterspout.wsgi.jobs import ask, wait_for
from waterspout import limits
from waterspout.exceptions import WaterspoutError
from waterspout.wsgi.lanes.crew import Crew, CrewEvents, CrewSpec
from waterspout.wsgi.pool.arrival import Arrival

pytestmark = pytest.mark.gen_test(timeout=30)

APP = """
def app(environ, start_response):
    start_response("200 OK", [])
    return [b"{version}"]
"""
HANGING = """
import time
def connect():
    time.sleep(60)
connect()
"""
#: With a file that is there once they hang, until their process is killed.
HANGING_VISIBLY = HANGING.replace("    time", "    open('{here}', 'w'); time", 1)
#: PyDLL, unlike CDLL, does not release the interpreter's lock.
LOCKING = """
import ctypes
ctypes.PyDLL(None).system(b"touch '{here}'; while kill -0 $PPID 2>&-; do sleep 0.1; done")
"""


class FakeCrew(Crew):
    """Starts when `gate` is set. `place`: where it says that it stands."""

    place = "web.py:3 in connect"

    def __init__(self, name):
        super().__init__(CrewSpec("x:y", 1), CrewEvents(lambda *_: None, lambda *_: None))
        self._name = name
        self.gate = asyncio.Event()

    async def start(self):
        await self.gate.wait()

    async def find_place(self):
        return self.place

    def __str__(self):
        return self._name


async def fail():
    raise WaterspoutError("no such table")


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(limits, "LOADING_SAID", 0.02)
    monkeypatch.setattr(limits, "RELOAD_ANEW", 0.04)


def begin(count=1, serve=True):
    crews = [FakeCrew(f"process {number}") for number in range(count)]
    arrival = Arrival(crews, "reload: ", lambda: serve)
    return crews, arrival, asyncio.ensure_future(arrival.wait())


def without_seconds(lines):
    """With 0 for each number of seconds: a busy machine takes more."""
    return [re.sub(r"\b\d+ s\b", "0 s", line) for line in lines]


async def test_that_it_takes_long_is_said_once(quick, caplog):
    [crew], _, waiting = begin()
    await wait_for(lambda: caplog.messages)
    await asyncio.sleep(0.1)
    crew.gate.set()
    assert await waiting == [(crew, None)]
    assert without_seconds(caplog.messages) == [
        "reload: process 0 has been loading for 0 s; currently at web.py:3 in connect; "
        "the old ones keep serving"
    ]


async def test_several_are_one_line(quick, caplog):
    crews, arrival, waiting = begin(4, serve=False)
    crews[1].gate.set()
    await wait_for(lambda: caplog.messages)
    said = "process 0 and 2 more have been loading for 0 s; currently at"
    assert said in without_seconds(caplog.messages)[0]
    await asyncio.sleep(0.04)
    assert arrival.give_up()
    assert not arrival.give_up()
    assert "0 s: killing them and loading the code again" in without_seconds(caplog.messages)[-1]
    failures = dict(await waiting)
    assert failures.pop(crews[1]) is None
    assert [type(failure) for failure in failures.values()] == [asyncio.CancelledError] * 3
    assert len(caplog.messages) == 2


async def test_what_one_has_failed_by_is_said_while_another_still_loads(caplog):
    crews, _, waiting = begin(3)
    for crew in crews[1:]:
        crew.start = fail
    await wait_for(lambda: len(caplog.messages) == 2)
    assert caplog.messages == [
        "reload: no such table; 2 more still loading",
        "reload: no such table; 1 more still loading",
    ]
    crews[0].gate.set()
    assert [str(error) for _, error in await waiting] == ["None", "no such table", "no such table"]
    assert len(caplog.messages) == 2


async def test_what_the_last_one_has_failed_by_is_said_by_whoever_waits(caplog):
    [crew], _, waiting = begin()
    crew.start = fail
    [(_, error)] = await waiting
    assert str(error) == "no such table"
    assert caplog.messages == []


async def test_those_that_are_soon_there_are_not_spoken_of(quick, caplog):
    crews, arrival, waiting = begin(2)
    await asyncio.sleep(0)
    assert not arrival.give_up()
    for crew in crews:
        crew.gate.set()
    await waiting
    await asyncio.sleep(0.06)
    assert not arrival.give_up()
    assert caplog.messages == []


async def test_whoever_does_not_wait_any_more_leaves_nothing_behind(quick, caplog):
    _, _, waiting = begin(2)
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await asyncio.sleep(0.04)
    assert caplog.messages == []


# --- real processes ----------------------------------------------------------------------------------------


@pytest.fixture
def site(tmp_path, monkeypatch):
    """`site("text")` writes what a process loads from now on."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(text):
        (tmp_path / "arriving.py").write_text(text)

    write(APP.format(version="one"))
    return write


async def test_a_reload_of_code_that_hangs_is_begun_anew_when_it_is_asked_for_again(
    make_pool, site, tmp_path, monkeypatch, caplog
):
    here, find_place = tmp_path / "here", Crew.find_place

    async def find_place_of_the_hang(crew):
        await wait_for(here.exists)
        return await find_place(crew)

    monkeypatch.setattr(Crew, "find_place", find_place_of_the_hang)
    caplog.set_level(logging.INFO, "waterspout.wsgi")
    pool = make_pool("arriving:app", workers=1, threads=1)
    await pool.start()
    monkeypatch.setattr(limits, "LOADING_SAID", 0.1)
    site(HANGING_VISIBLY.format(here=here))
    pool.reload()
    pool.reload()
    assert caplog.messages[-1] == "reload: one is under way; another will follow it"
    await wait_for(lambda: "been loading" in caplog.text)
    pattern = (
        r"reload: WSGI process (\d+) has been loading for \d+ s; currently at (.*); the old ones keep serving"
    )
    [(pid, place)] = re.findall(pattern, caplog.text)
    assert place == "arriving.py:4 in connect"
    monkeypatch.setattr(limits, "RELOAD_ANEW", 0.0)
    site(APP.format(version="two"))
    pool.reload()
    said = f"reload: WSGI process {pid} has been loading for 0 s: killing it and loading the code again"
    assert without_seconds(caplog.messages)[-1] == said
    await wait_for(lambda: "have taken over" in caplog.text)
    assert await ask(pool, "/") == b"two"
    assert "do not start" not in caplog.text
    assert "ended:" not in caplog.text


@pytest.mark.parametrize(
    ("code", "patience", "place", "timeout", "most"),
    [
        (HANGING_VISIBLY, 20, "it was at arriving.py:4 in connect", 60, 120),
        (HANGING_VISIBLY, 20, "it was at arriving.py:4 in connect", 600, 600),
        (LOCKING, 0.5, "C code holds its interpreter's lock", 60, 120),
    ],
)
async def test_what_is_not_ready_in_time_says_where_it_stands(
    make_pool, site, tmp_path, monkeypatch, code, patience, place, timeout, most
):
    monkeypatch.setattr("waterspout.wsgi.lanes.crew.PLACE_PATIENCE", patience)
    here = tmp_path / "here"
    site(code.format(here=here))
    pool = make_pool("arriving:app", workers=1, threads=1, timeout=timeout)
    starting = asyncio.ensure_future(pool.start())
    await wait_for(here.exists)
    [crew] = pool._supervisor.crews
    crew._started.set_exception(TimeoutError())  # as if the time were over
    said = f"was not ready within {most} s and was killed; .*{place}"
    with pytest.raises(WaterspoutError, match=said):
        await starting
