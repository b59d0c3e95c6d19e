"""Code that holds the event loop is named while it does."""

import asyncio
import ctypes
import logging
import selectors
import socket
import sys
import threading
import time

import pytest

from tests.server import poll
from waterspout.serving import watchdog
from waterspout.serving.watchdog import LoopWatchdog, find_culprit

STANDS = "the event loop has been blocked for "
GOES_ON = "the event loop runs again, after "
HELD = "something held the interpreter's lock"
STOPPED = "this process did not run for "

pytestmark = pytest.mark.gen_test(timeout=30)


@pytest.fixture
def watched(monkeypatch, io_loop, caplog):
    monkeypatch.setattr(watchdog, "LOOP_LOOK", 0.02)
    monkeypatch.setattr(watchdog, "LOOP_STANDS", 0.2)
    caplog.set_level(logging.WARNING, "waterspout")
    found = LoopWatchdog()
    yield found
    found.stop()
    for thread in threading.enumerate():
        if thread.name == "waterspout-watchdog":
            thread.join(5)  # what it is about to say is not for the next test


def hold_the_loop(text, caplog):
    """What no handler should do. It goes on once `text` is in the log."""
    poll(lambda: text in caplog.text)


async def test_who_holds_the_loop_is_named_while_he_does(watched, caplog):
    watched.start()
    await asyncio.sleep(0.1)
    hold_the_loop("in hold_the_loop", caplog)
    assert STANDS in caplog.text
    assert "in test_who_holds_the_loop_is_named_while_he_does" in caplog.text
    assert "run_forever" not in caplog.text  # what is below the handler is of no interest
    while GOES_ON not in caplog.text:
        await asyncio.sleep(0.01)
    assert all(record.levelname == "WARNING" for record in caplog.records)


async def test_it_is_said_once_in_a_while(watched, caplog, monkeypatch):
    watched.start()
    await asyncio.sleep(0.1)
    hold_the_loop(STANDS, caplog)
    while GOES_ON not in caplog.text:
        await asyncio.sleep(0.01)
    time.sleep(0.4)
    await asyncio.sleep(0.1)
    assert caplog.text.count(STANDS) == caplog.text.count(GOES_ON) == 1
    monkeypatch.setattr(watchdog, "LOOP_PAUSE", 0.0)
    caplog.clear()
    hold_the_loop(STANDS, caplog)
    assert STANDS in caplog.text


async def test_a_long_one_is_said_even_then(watched, caplog, monkeypatch):
    monkeypatch.setattr(watchdog, "LOOP_STUCK", 0.5)
    watched.start()
    await asyncio.sleep(0.1)
    hold_the_loop(STANDS, caplog)
    await asyncio.sleep(0.1)
    caplog.clear()
    hold_the_loop(STANDS, caplog)
    assert STANDS in caplog.text


async def test_what_kept_all_threads_from_running_is_told_afterwards(watched, caplog, monkeypatch):
    """Then the one that watches has seen nothing: a regular expression that takes for ever, for example."""
    monkeypatch.setattr(watchdog, "LOOP_PAUSE", 0.0)
    watched.start()
    await asyncio.sleep(0.1)
    size = 2**20
    while HELD not in caplog.text or STANDS in caplog.text:  # as where it got no core behind that
        caplog.clear()
        begun = time.monotonic()
        sum(range(size))  # in C, and holds the interpreter's lock
        size *= 2 if time.monotonic() - begun < 0.5 else 1
        await asyncio.sleep(0.1)


async def test_so_is_that_the_process_as_a_whole_did_not_run(watched, caplog, monkeypatch):
    monkeypatch.setattr(watchdog, "LOOP_STUCK", 0.5)
    watched.start()
    await asyncio.sleep(0.1)
    ctypes.PyDLL(None).usleep(1_000_000)  # as if somebody had stopped it
    while STOPPED not in caplog.text:
        await asyncio.sleep(0.01)
    assert STANDS not in caplog.text
    assert HELD not in caplog.text


async def test_who_was_busy_and_then_stopped_for_a_moment_has_held_no_lock(watched, caplog, monkeypatch):
    monkeypatch.setattr(watchdog, "LOOP_LOOK", 0.25)
    watched._judge_itself(passed=0.25 + 0.5, used=0.25)
    assert caplog.text == ""
    watched._judge_itself(passed=0.25 + 0.5, used=0.25 + 0.5)
    assert HELD in caplog.text


async def test_a_loop_that_turns_is_nothing_to_talk_of(watched, caplog, monkeypatch):
    monkeypatch.setattr(watchdog, "LOOP_STANDS", 1.0)
    watched.start()
    deadline = time.monotonic() + 2.5
    while time.monotonic() < deadline:
        await asyncio.sleep(0.05)
    assert caplog.text == ""


async def test_nobody_looks_after_the_stop(watched, caplog):
    watched.start()
    thread = next(thread for thread in threading.enumerate() if thread.name == "waterspout-watchdog")
    watched.stop()
    watched.stop()
    await asyncio.to_thread(thread.join, 10)
    assert not thread.is_alive()
    time.sleep(0.4)
    assert caplog.text == ""


async def test_a_thread_that_can_t_be_had_is_told_of(watched, caplog, monkeypatch):
    def refuse(self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    watched.start()
    assert "the event loop is not watched: can't start new thread" in caplog.text


def test_a_loop_that_waits_for_something_to_do_has_no_culprit():
    waiting = threading.Event()
    reading, writing = socket.socketpair()
    loop = asyncio.SelectorEventLoop(selectors.DefaultSelector())

    def run():
        loop.call_soon(waiting.set)
        loop.add_reader(reading, loop.stop)
        loop.run_forever()

    thread = threading.Thread(target=run)
    thread.start()
    assert waiting.wait(10)
    assert poll(lambda: find_culprit(sys._current_frames()[thread.ident]) == [])
    writing.send(b"x")
    thread.join(10)
    loop.close()
    reading.close()
    writing.close()
