"""SystemExit in a task."""

import asyncio

import pytest

from waterspout.system.system_exit import contain_exit

pytestmark = pytest.mark.gen_test


async def give(what):
    await asyncio.sleep(0)
    if isinstance(what, BaseException):
        raise what
    return what


async def test_what_it_gives_is_given():
    assert await asyncio.create_task(contain_exit(give(7))) == 7


async def test_an_exit_does_not_reach_the_event_loop():
    task = asyncio.create_task(contain_exit(give(SystemExit("why"))))
    with pytest.raises(RuntimeError, match=r"SystemExit.'why'") as raised:
        await task
    assert isinstance(raised.value.__cause__, SystemExit)


@pytest.mark.parametrize("error", [LookupError("x"), asyncio.CancelledError()])
async def test_what_else_it_raises_is_raised(error):
    with pytest.raises(type(error)):
        await contain_exit(give(error))
