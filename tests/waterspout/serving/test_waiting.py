"""Native requests that wait for something that does not come."""

import asyncio
import re
from contextlib import asynccontextmanager

import pytest
from tornado import gen
from tornado.web import RequestHandler, stream_request_body

from tests.waterspout.http.harness import serve, until
from waterspout import Application
from waterspout.serving import waiting
from waterspout.serving.waiting import LateNatives

pytestmark = pytest.mark.gen_test(timeout=20)


class Hangs(RequestHandler):
    begun = 0

    async def get(self):
        Hangs.begun += 1
        await self.settings["gate"].wait()


class Replies(RequestHandler):
    async def get(self):
        await self.flush()
        await self.settings["gate"].wait()


@stream_request_body
class Takes(RequestHandler):
    def data_received(self, chunk):
        """Slowly."""

    async def get(self):
        await self.settings["gate"].wait()


@pytest.fixture
def said(caplog):
    return lambda: [line for line in caplog.messages if "answered" in line]


@asynccontextmanager
async def watched(monkeypatch):
    """A server, the gate that all its handlers wait for, which opens in the end, and what looks for them."""
    monkeypatch.setattr(waiting, "NATIVE_LATE", 0.2)
    monkeypatch.setattr(waiting, "NATIVE_LATE_LOOK", 0.05)
    gate = asyncio.Event()
    application = Application([("/hangs", Hangs), ("/replies", Replies), ("/takes", Takes)], gate=gate)
    application.add_handlers(
        ".*", [(f"/{cls.__name__}", cls) for cls in (Handed, Coroutine, NoticedCoroutine)]
    )
    late = application.settings["late"] = LateNatives()
    late.start()
    try:
        async with serve(application) as served:
            yield served, gate, late
    finally:
        gate.set()
        late.stop()
        await application.stop()


def ask(path):
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


async def test_it_is_said_of_a_class_each_time_that_it_begins(monkeypatch, said):
    monkeypatch.setattr(Hangs, "begun", 0)
    async with watched(monkeypatch) as (served, gate, late):
        for times in (1, 2):
            async with served.client() as one, served.client() as other:
                one.send(ask("/hangs?secret=x"))
                other.send(ask("/hangs"))
                await until(lambda: Hangs.begun % 2 == 0 and len(said()) == Hangs.begun // 2)
                await asyncio.sleep(0.5)  # until the other has waited for as long
                gate.set()
                assert (await one.read_reply())[0] == (await other.read_reply())[0] == 200
                gate.clear()
                await until(lambda: not late._told)
            assert len(said()) == times
        for line in said():
            assert re.match(rf"GET /hangs has not been answered for \d+ s \({__name__}\.Hangs\)", line)
            assert "currently at " in line
            assert "test_waiting.py:" in line


class Handed(RequestHandler):
    """Answers as soon as it has been looked at."""

    async def post(self):
        while asyncio.current_task() not in self.settings["late"]._seen:
            await asyncio.sleep(0)
        self.write(self.request.body)


async def test_a_body_that_comes_slowly_is_not_the_handler_s(monkeypatch, said):
    async with watched(monkeypatch) as (served, _, _), served.client() as client:
        client.send(b"POST /Handed HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbo")
        await asyncio.sleep(0.6)
        client.send(b"dy")
        assert (await client.read_reply())[2] == b"body"
        assert said() == []


class Coroutine(RequestHandler):
    @gen.coroutine
    def get(self):
        yield self.settings["gate"].wait()


class Noticed(RequestHandler):
    """Subclasses have to give it a keyword: it is left alone, and Tornado calls it."""

    def __init_subclass__(cls, word):
        super().__init_subclass__()


class NoticedCoroutine(Noticed, word="yes"):
    get = Coroutine.get


@pytest.mark.parametrize("cls", [Coroutine, NoticedCoroutine])
async def test_what_can_t_be_seen_is_not_said(monkeypatch, said, cls):
    async with watched(monkeypatch) as (served, gate, _), served.client() as client:
        client.send(ask(f"/{cls.__name__}"))
        await until(said)
        gate.set()
        assert (await client.read_reply())[0] == 200
    (line,) = said()
    assert line.endswith(f"({__name__}.{cls.__name__})")


async def test_nothing_is_said_of_replies_that_have_begun_nor_of_bodies_that_come(monkeypatch, said):
    async with watched(monkeypatch) as (served, _, _), served.client() as one, served.client() as other:
        one.send(ask("/replies"))
        other.send(ask("/takes"))
        await asyncio.sleep(0.6)
        assert said() == []
