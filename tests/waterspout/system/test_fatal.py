"""What an exception in a task ends."""

import asyncio
import threading
import traceback

import pytest

from waterspout.system.fatal import contain_exit, ends_more, find_failure

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


@pytest.mark.parametrize("error", [ValueError(), SystemExit(), asyncio.CancelledError(), BaseException()])
async def test_most_are_failures_of_the_code_alone(error):
    assert not ends_more(error, asyncio.current_task())


async def test_the_failure_of_a_task_that_was_cancelled_tells_where():
    shared = asyncio.get_running_loop().create_future()

    async def wait():
        await shared

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    shared.cancel()
    await asyncio.wait([task])
    error = find_failure(task)
    assert isinstance(error, asyncio.CancelledError)
    assert traceback.extract_tb(error.__traceback__)[-1].line == "await shared"


@pytest.mark.parametrize("error", [None, LookupError()])
async def test_any_other_failure_is_the_future_s(error):
    future = asyncio.get_running_loop().create_future()
    future.set_exception(error) if error else future.set_result(7)
    assert find_failure(future) is error


async def test_a_keyboard_interrupt_ends_more():
    assert ends_more(KeyboardInterrupt(), asyncio.current_task())


async def test_a_generator_exit_ends_more_unless_the_task_itself_has_raised_it():
    said = []

    async def watch(waits):
        try:
            if waits:
                await asyncio.get_running_loop().create_future()
            raise GeneratorExit
        except GeneratorExit as error:
            said.append(ends_more(error, task))
            raise

    for waits in (True, False):
        task = asyncio.create_task(watch(waits))
        await asyncio.sleep(0)
        task.get_coro().close()  # as the garbage collector does
        task.cancel()
        await asyncio.wait([task])
    assert said == [True, False]


async def test_so_does_one_in_a_thread_without_an_event_loop():
    said = []
    task = asyncio.current_task()
    thread = threading.Thread(target=lambda: said.append(ends_more(GeneratorExit(), task)))
    thread.start()
    thread.join()
    assert said == [True]
