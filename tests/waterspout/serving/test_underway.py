"""What a stop says it waits for. The wire test is in wire/test_drain.py."""

import re

import pytest
from tornado.web import Application as TornadoApplication

from tests.waterspout.wsgi import apps
from tests.waterspout.wsgi.jobs import occupy, submit, wait_for
from waterspout import Application
from waterspout.serving.underway import describe_underway

pytestmark = pytest.mark.gen_test(timeout=20)


async def test_nothing_is_no_word():
    assert describe_underway(TornadoApplication(), None, 0) == ""
    assert describe_underway(Application(), 0, 0) == ""


async def test_one_is_said_as_one():
    assert describe_underway(TornadoApplication(), 1, 1) == "; 1 request body is arriving; 1 WebSocket"
    assert describe_underway(TornadoApplication(), 2, 2) == "; 2 request bodies are arriving; 2 WebSockets"


async def test_what_waits_for_a_lane_is_told_from_what_runs(tmp_path):
    gate = tmp_path / "gate"
    application = Application(wsgi=apps.app, wsgi_workers=0, wsgi_threads=1)
    await application.start()
    pool = application.container.pool
    first = await occupy(pool, gate)
    second = submit(pool, f"/gated?{gate}")
    await wait_for(lambda: pool.waiting == 1)
    said = describe_underway(application, 0, 0)
    assert re.fullmatch(r"; 1 running, the longest GET /gated for \d+ s; 1 waiting for a lane", said)
    gate.touch()
    assert [await job.outcome for job in (first, second)] == ["whole", "whole"]
    await wait_for(lambda: describe_underway(application, 0, 0) == "")
    await application.stop(1)


async def test_a_process_that_is_being_killed_runs_no_more_than_it_did():
    application = Application(wsgi=apps.app, wsgi_workers=0, wsgi_threads=3)
    await application.start()
    (crew,) = application.container.pool.crews
    kept, crew.idle = crew.idle, type(crew.idle)()  # it takes no more requests
    assert crew.busy == 3
    assert describe_underway(application, 0, 0) == ""
    crew.idle = kept
    await application.stop(1)
