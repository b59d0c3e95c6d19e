"""Signals reach the event loop by way of a thread. What that is for: tests/wire/test_failed_starts.py."""

import asyncio
import os
import signal
import threading

import pytest

from waterspout.serving import hearing as module
from waterspout.serving.hearing import Hearing


def find_wakeup():
    descriptor = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(descriptor)
    return descriptor


def find_threads():
    return [thread for thread in threading.enumerate() if thread.name == "waterspout-hearing"]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request):
    """Runs a coroutine on a new loop of this kind."""
    module = pytest.importorskip(request.param)

    def run(coroutine):
        with asyncio.Runner(loop_factory=module.new_event_loop) as runner:
            return runner.run(asyncio.wait_for(coroutine, 30))

    return run


def test_the_loop_hears_all_the_same_and_by_itself_afterwards(run):
    async def main():
        loop, heard = asyncio.get_running_loop(), asyncio.Queue()

        async def hears():
            os.kill(os.getpid(), signal.SIGUSR2)
            return await heard.get()

        loop.add_signal_handler(signal.SIGUSR2, heard.put_nowait, "SIGUSR2")
        before = find_wakeup()
        hearing = Hearing(lambda: False)
        hearing.begin()
        assert find_wakeup() != before
        assert await hears() == "SIGUSR2"
        loop.add_signal_handler(signal.SIGUSR2, heard.put_nowait, "anew")
        hearing.begin()
        assert len(find_threads()) == 1
        assert await hears() == "anew"
        hearing.end()
        hearing.end()
        assert (find_wakeup(), find_threads()) == (before, [])
        assert await hears() == "anew"
        assert heard.empty()

    run(main())


def test_it_hears_again_what_the_loop_has_taken_from_it_and_not_behind_its_end(run):
    async def main():
        hearing = Hearing(lambda: False)
        hearing.begin()
        ours = find_wakeup()
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR2, print)
        hearing.go_on()
        assert find_wakeup() == ours
        hearing.end()
        loops = find_wakeup()
        hearing.go_on()
        assert (find_wakeup(), find_threads()) == (loops, [])
        assert loops != ours

    run(main())


def test_it_ends_though_a_forked_child_has_its_socket_too(run):
    async def main():
        hearing = Hearing(lambda: False)
        hearing.begin()
        kept = os.dup(find_wakeup())
        try:
            hearing.end()
            assert find_threads() == []
        finally:
            os.close(kept)

    run(main())


def test_at_its_end_it_leaves_a_descriptor_that_somebody_else_has_set(run):
    async def main():
        hearing = Hearing(lambda: False)
        hearing.begin()
        with open(
            os.devnull, "wb", opener=lambda path, flags: os.open(path, flags | os.O_NONBLOCK)
        ) as theirs:
            signal.set_wakeup_fd(theirs.fileno())
            hearing.end()
            assert signal.set_wakeup_fd(-1) == theirs.fileno()

    run(main())


def test_nothing_is_said_of_a_loop_that_has_heard(run, monkeypatch, caplog):
    monkeypatch.setattr(module, "LOOP_STANDS", 0.01)
    heard, asked = threading.Event(), threading.Event()

    def is_heard():
        asked.set()
        return heard.wait(30)

    async def main():
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, heard.set)
        hearing = Hearing(is_heard)
        hearing.begin()
        os.kill(os.getpid(), signal.SIGTERM)
        assert await asyncio.to_thread(asked.wait, 20)
        hearing.end()

    run(main())
    assert not caplog.records


def test_one_that_never_began_ends():
    Hearing(lambda: False).end()


def test_without_a_thread_the_loop_hears_by_itself(run, monkeypatch):
    def refuse(self):
        raise RuntimeError("can't start new thread")

    async def main():
        heard = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR2, heard.set)
        before = find_wakeup()
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", refuse)
            hearing = Hearing(lambda: False)
            hearing.begin()
        assert find_wakeup() == before
        os.kill(os.getpid(), signal.SIGUSR2)
        await heard.wait()
        hearing.end()

    run(main())
