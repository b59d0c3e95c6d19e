"""Too few threads for all lanes: one line a minute, whatever happens, and to however many processes."""

import asyncio
import logging

import pytest

from waterspout import limits
from waterspout.wsgi.lanes.crew import Crew, CrewEvents, CrewSpec
from waterspout.wsgi.lanes.scarcity import Scarcity

pytestmark = pytest.mark.gen_test(timeout=5)


async def test_that_all_serve_by_now_is_said_too(caplog):
    caplog.set_level(logging.INFO, "waterspout.wsgi")
    crew = Crew(CrewSpec("x:y", 8), CrewEvents(lambda *_: None, lambda *_: None))
    Scarcity().tell(crew, 8, "")
    assert caplog.messages == ["threads: all of its 8 lanes serve by now"]


async def test_it_is_said_once_a_minute(monkeypatch, caplog):
    monkeypatch.setattr(limits, "SCARCE_PAUSE", 0.5)
    crew = Crew(CrewSpec("x:y", 8), CrewEvents(lambda *_: None, lambda *_: None))
    scarcity = Scarcity()
    for _ in range(100):
        scarcity.tell(crew, 3, "no more threads")
    assert caplog.messages == [
        "threads: no more threads: only 3 of 8 lanes serve; "
        "allow more (ulimit -u, ulimit -v, pids.max, TasksMax), or use fewer (--wsgi-threads)"
    ]
    await asyncio.sleep(0.6)
    scarcity.tell(crew, 3, "no more threads")
    assert len(caplog.messages) == 2
