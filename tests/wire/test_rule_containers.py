"""The server starts, reports, reloads and stops the WSGI apps that rules lead to, `("/a/.*", FallbackHandler,
{"fallback": Container(...)})`, as it does the one of `wsgi=`.
"""

import json
import os
import signal

import pytest

from tests.server import StartError, poll
from tests.wire.watched import OPS, Watched

APP = """
import os, time

def app(environ, start_response):
    if environ["PATH_INFO"].endswith("/slow"):
        open("begun", "w").close()
        time.sleep(1)
    start_response("200 OK", [])
    return [b"VERSION %d" % os.getpid()]
"""
SITE = """
import tornado.web, waterspout
from tornado.web import FallbackHandler, RequestHandler

def rules(*targets):
    containers = map(waterspout.Container, targets)
    return [(f"/{name}/.*", FallbackHandler, {"fallback": each}) for name, each in zip("ab", containers)]

class Asks(RequestHandler):
    async def get(self):
        self._auto_finish = False
        await unknown.handle_request(self.request)

unknown = waterspout.Container("lacking:app")
stock = tornado.web.Application(rules("one:app", "two:app"))
ours = waterspout.Application(rules("one:app", "two:app"))
with_app = waterspout.Application(rules("one:app"), wsgi="two:app")
stock_lacking = tornado.web.Application(rules("one:app", "lacking:app"))
lacking = waterspout.Application(rules("lacking:app", "one:app"))
lacking_with_app = waterspout.Application(rules("lacking:app"), wsgi="one:app")
by_hand = waterspout.Application([("/a/", Asks)])
"""
SITES = ("stock", "ours", "with_app")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "site_rules.py").write_text(SITE)
    for name in ("one", "two"):
        (tmp_path / f"{name}.py").write_text(APP.replace("VERSION", name))
    return tmp_path


@pytest.fixture
def start(start_server, folder):
    def start(name, *options):
        return start_server(f"site_rules:{name}", *options, cwd=folder)

    return start


@pytest.mark.parametrize("name", ["stock_lacking", "lacking", "lacking_with_app"])
def test_one_that_can_t_be_loaded_keeps_the_server_from_starting(start, name):
    with pytest.raises(StartError, match=r"exit code 2:[^$]*'lacking:app': there is no module 'lacking'"):
        start(name)


@pytest.mark.parametrize("name", SITES)
def test_they_are_told_and_health_is_bad_while_one_of_them_has_no_lane(start, name, folder):
    watched = Watched(start(name, *OPS))
    names = {"/a/.* main", "main" if name == "with_app" else "/b/.* main"}
    pools = watched.stats()["pools"]
    assert set(pools) == names
    assert all(pool["up"] for pool in pools.values())
    assert watched.ask("/-/health").status == 200
    (folder / "one.py").write_text("raise RuntimeError('not again')")
    os.kill(pools["/a/.* main"]["processes"][0]["pid"], signal.SIGKILL)
    assert poll(lambda: watched.ask("/-/health").status == 503)
    assert json.loads(watched.ask("/-/health").text)["down"] == ["/a/.* main"]


@pytest.mark.parametrize("name", SITES)
def test_what_runs_in_them_is_finished_and_then_they_end(start, name, folder):
    server = start(name)
    connection = server.connect()
    connection.send_request("GET", "/a/slow")
    assert poll((folder / "begun").exists)
    server.signal(signal.SIGTERM)
    assert connection.reply().text.startswith("one ")
    assert server.wait() == 0
    assert "stopped, but" not in server.log
    assert server.session_pids() == []


@pytest.mark.parametrize("name", SITES)
def test_all_of_them_are_reloaded(start, name, folder):
    server = start(name)
    for module in ("one", "two"):
        (folder / f"{module}.py").write_text(APP.replace("VERSION", f"new {module}"))
    server.signal(signal.SIGHUP)
    assert len(server.log_lines("have taken over", enough=2)) == 2
    assert server.get("/a/").text.startswith("new one ")
    assert server.get("/b/").text.startswith("new two ")


def test_one_that_no_rule_leads_to_starts_nothing_more_when_the_server_ends(start):
    server = start("by_hand")
    assert server.get("/a/").status == 503
    server.signal(signal.SIGTERM)
    assert server.wait() == 0
    assert "are still running after being cancelled" not in server.log
