"""An `open()` that does not end."""

import asyncio

import pytest

from tests.waterspout.websocket.raw import TEXT, connect, frame
from tests.waterspout.websocket.serving import Witness, scenario, serve
from waterspout.websocket import protocol as module

WHO = f"{__name__}.make.<locals>.Waits"


def make(event):
    class Waits(Witness):
        async def open(self, *args):
            super().open()
            await event.wait()

    return Waits


@pytest.fixture
def lines(caplog, monkeypatch):
    monkeypatch.setattr(module, "OPEN_SAID", 0.05)
    return lambda: [line for line in caplog.messages if "open()" in line]


@scenario
async def test_it_is_said_once_of_each_class_and_then_it_may_go_on(form, lines):
    event = asyncio.Event()
    async with serve(form, make(event)) as served:
        for _ in range(2):
            async with connect(served.port, then=frame(TEXT, "a")):
                await asyncio.sleep(0.2)
        assert lines() == [
            f"{WHO}: open() has not returned after 10 s; until it does, nothing from the client is read, "
            "and its disconnect goes unnoticed: move what waits into a separate task (logged once)"
        ]
        assert served.events == ["open", "open"]
        event.set()
        await served.until("a", 2)


@scenario
async def test_one_that_ends_is_not_said(form, lines):
    event = asyncio.Event()
    event.set()
    async with serve(form, make(event)) as served, connect(served.port, then=frame(TEXT, "a")):
        await served.until("a")
        await asyncio.sleep(0.1)
    assert lines() == []


@scenario
async def test_nor_one_that_fails(form, lines):
    class Fails(Witness):
        async def open(self, *args):
            await asyncio.sleep(0)
            raise ValueError

    async with serve(form, Fails) as served, connect(served.port) as client:
        await client.read_close()
        await asyncio.sleep(0.1)
    assert lines() == []
