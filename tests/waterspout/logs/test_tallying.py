"""What was counted but not reported is reported after the pause, though nothing more happens."""

import asyncio

import pytest

from tests.waterspout.wsgi.jobs import wait_for
from waterspout.logs.tallying import SpokenTally

pytestmark = pytest.mark.gen_test(timeout=20)


class Line:
    """`said`: (how often it has happened, whether that was the rest of a burst), for each report.

    `then`: called at the next of them.
    """

    def __init__(self, pause):
        self.said = []
        self.then = None
        self.tally = SpokenTally(pause, self._say)

    def _say(self, unsaid, is_rest):
        self.said.append((unsaid, is_rest))
        then, self.then = self.then, None
        if then is not None:
            asyncio.get_running_loop().call_soon(then)


async def test_the_rest_of_a_burst_is_said_when_the_pause_is_over():
    line = Line(0.3)
    began = asyncio.get_running_loop().time()
    for _ in range(40):
        line.tally.count()
    assert line.said == [(1, False)]
    await wait_for(lambda: len(line.said) == 2)
    assert line.said == [(1, False), (39, True)]
    assert asyncio.get_running_loop().time() - began > 0.2
    await asyncio.sleep(0.4)
    assert len(line.said) == 2


async def test_it_is_said_no_more_often_than_the_pause_allows():
    line = Line(0.3)
    line.tally.count(2)
    line.tally.count()
    counts = []

    def count():
        line.tally.count()
        counts.append(len(line.said))

    line.then = count
    await wait_for(lambda: counts)
    assert counts == [2]  # the rest of the first burst has just been said
    await wait_for(lambda: len(line.said) == 3)
    assert [unsaid for unsaid, _ in line.said] == [2, 1, 1]


async def test_the_rest_is_said_at_the_end_and_only_once():
    line = Line(0.2)
    line.tally.count()
    line.tally.say_rest()
    assert line.said == [(1, False)]
    line.tally.count(4)
    line.tally.say_rest()
    assert line.said == [(1, False), (4, True)]
    await asyncio.sleep(0.3)
    assert len(line.said) == 2


@pytest.mark.parametrize("make_loop", [asyncio.new_event_loop, "uvloop"])
def test_an_event_loop_that_is_closed_keeps_nothing_back(make_loop):
    if make_loop == "uvloop":
        make_loop = pytest.importorskip("uvloop").new_event_loop
    line = Line(1)

    async def count():
        line.tally.count()

    async def wait():
        await wait_for(lambda: len(line.said) > 1)

    for _ in range(3):
        with asyncio.Runner(loop_factory=make_loop) as runner:
            runner.run(count())
    assert line.said == [(1, False)]
    with asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(count())
        runner.run(wait())
    assert line.said == [(1, False), (3, True)]
    line.tally.say_rest()
