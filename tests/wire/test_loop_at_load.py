"""What native code adds to the event loop as it is loaded, as Tornado's applications have always done."""

import os
from itertools import pairwise

import pytest

from tests.server import poll

NATIVE = """
import asyncio

from tornado.ioloop import IOLoop, PeriodicCallback
from tornado.web import RequestHandler

import waterspout

seen = {"ticks": 0, "added": 0, "spawned": 0}


def count(name):
    seen[name] += 1


async def spawned():
    await asyncio.sleep(0.01)
    count("spawned")


class Seen(RequestHandler):
    async def get(self):
        kept = await self.application.loop.run_in_executor(None, lambda: "kept")
        self.write({**seen, "kept": kept, "same": self.application.loop is IOLoop.current()})


class Site(waterspout.Application):
    def __init__(self, **settings):
        super().__init__(native=[("/seen", Seen)], **settings)
        self.loop = IOLoop.current()
        self.loop.add_callback(count, "added")
        self.loop.spawn_callback(spawned)
        self.ticker = PeriodicCallback(lambda: count("ticks"), 20)
        self.ticker.start()


async def fetch():
    await asyncio.sleep(0.01)
    return Site()
"""
RUNS = "app = IOLoop.current().run_sync(fetch)"
#: After these another loop is the current one.
RUNS_ANOTHER = "asyncio.run(asyncio.sleep(0))\napp = Site()"
SETS_ANOTHER = "asyncio.set_event_loop(asyncio.new_event_loop())\napp = Site()"
INSTALLS = "from tornado.platform.asyncio import AsyncIOMainLoop\nAsyncIOMainLoop().install()\napp = Site()"
CLOSES = """
async def nothing():
    await asyncio.sleep(0)

loop = asyncio.new_event_loop() if closes_its_own else asyncio.get_event_loop()
loop.run_until_complete(nothing())
loop.close()
app = waterspout.Application(native=[("/seen", RequestHandler)])
"""


@pytest.fixture(params=["asyncio", "uvloop"])
def start(request, start_server, tmp_path):
    def start(code):
        (tmp_path / "site_main.py").write_text(NATIVE + code)
        return start_server("site_main:app", "--loop", request.param, cwd=tmp_path)

    return start


@pytest.mark.parametrize("code", ["app = Site()", RUNS, RUNS_ANOTHER, SETS_ANOTHER, INSTALLS])
def test_it_runs_when_the_server_does(start, code):
    server = start(code)
    assert poll(lambda: server.get("/seen").json()["ticks"] > 1)
    seen = server.get("/seen").json()
    assert (seen["added"], seen["spawned"], seen["kept"], seen["same"]) == (1, 1, "kept", True)
    server.stop()


def test_one_of_another_kind_is_named(start):
    server = start(RUNS_ANOTHER)
    *_, loop = (after for before, after in pairwise(server.process.args) if before == "--loop")
    said = [True] if loop == "uvloop" else []
    lines = [line for line in server.log.splitlines() if "another event loop" in line]
    assert [line.endswith("the server runs on that, which is asyncio's") for line in lines] == said
    server.stop()


RUNS_ELSEWHERE = """
import threading

asyncio.set_event_loop(asyncio.new_event_loop())
threading.Thread(target=IOLoop.current().start, daemon=True).start()
while not IOLoop.current().asyncio_loop.is_running():
    pass
app = waterspout.Application(native=[("/seen", RequestHandler)])
"""


def test_a_loop_that_runs_in_a_thread_of_its_own_is_not_the_server_s(start):
    server = start(RUNS_ELSEWHERE)
    assert server.get("/seen").status == 405
    server.stop()


@pytest.mark.parametrize("closes_its_own", [True, False])
def test_a_loop_that_it_has_closed_is_not_the_server_s(start, closes_its_own):
    server = start(f"closes_its_own = {closes_its_own}" + CLOSES)
    assert server.get("/seen").status == 405
    server.stop()


SETS = """
import contextvars

from tornado.web import Application

who = contextvars.ContextVar("who")
who.set("who loaded it")


class Found(RequestHandler):
    def get(self):
        self.write({"before": who.get("nobody")})
        who.set("an earlier request")


app = waterspout.Application(native=[("/found", Found)]) if ours else Application([("/found", Found)])
"""


@pytest.mark.parametrize("ours", [True, False])
def test_handlers_find_the_context_variables_that_it_has_set(start, ours):
    server = start(f"ours = {ours}" + SETS)
    for _ in range(2):
        assert server.get("/found").json() == {"before": "who loaded it"}
    server.stop()


@pytest.mark.parametrize("code", ["app = Site(debug=True)", "tornado.autoreload.start()\napp = Site()"])
def test_tornado_s_own_autoreload_does_not_replace_the_server(start, tmp_path, code):
    server = start("import tornado.autoreload\n" + code)

    def ticked(times):
        ticks = server.get("/seen").json()["ticks"]
        assert poll(lambda: server.get("/seen").json()["ticks"] > ticks + times)

    ticked(50)  # a second: it looks twice as often
    os.utime(tmp_path / "site_main.py", (0, 0))
    ticked(50)
    assert server.log.count(" serves ") == 1
    server.stop()
