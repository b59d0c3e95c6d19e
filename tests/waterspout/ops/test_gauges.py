"""All figures as one value, whatever state a server is in."""

import json

import pytest

import waterspout
from tests.waterspout.wsgi import apps
from waterspout import Container
from waterspout.ops.gauges import Gauges

pytestmark = pytest.mark.gen_test(timeout=20)


async def test_what_a_container_s_own_application_answers_is_not_known():
    container = Container(apps.app)
    assert container.stats()["native"] is None
    container.gauges.lag.stop()


async def test_native_answers_are_told_by_class_of_status():
    gauges = Gauges()
    gauges.native[2] += 7
    gauges.native[0] += 1
    assert gauges.read()["native"]["answers"] == {"1xx": 0, "2xx": 7, "3xx": 0, "4xx": 0, "5xx": 0}
    assert gauges.read()["server"]["version"] == waterspout.__version__
    gauges.lag.stop()


async def test_a_container_tells_before_while_and_after_it_runs():
    container = Container(apps.app, threads=2)
    for start in (True, False):
        stats = container.stats()
        assert json.loads(json.dumps(stats)) == stats
        assert stats["pools"]["main"]["up"] is not start
        if start:
            await container.start()
    assert container.stats()["pools"]["main"]["lanes"]["total"] == 2
    assert container.gauges.find_down() == []
    assert container.gauges.lag.sampling
    await container.stop(1)
    assert not container.gauges.lag.sampling
    assert container.stats()["pools"]["main"]["processes"] == []
    assert container.gauges.find_down() == ["main"]
    container.gauges.lag.stop()
