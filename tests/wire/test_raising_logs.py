"""What an app does to logging may cost log lines, but no reply, and neither the server nor its stop."""

import signal
from datetime import UTC, datetime, timedelta

import pytest

# The recipe of docs/operating.md, with a filter as Flask apps have it, in a module that both sides import.
RECIPE = """
import logging
from flask import request

class Paths(logging.Filter):
    def filter(self, record):
        record.path = request.path  # outside of a request this raises
        return True

for name in ("waterspout", "tornado"):
    logging.getLogger(name).handlers.clear()
    logging.getLogger(name).propagate = True
logging.basicConfig(level=logging.INFO, format="%(path)s %(message)s")
logging.getLogger().handlers[0].addFilter(Paths())
"""
FACTORY = """
import logging
from flask import request

make = logging.getLogRecordFactory()

def make_with_path(*arguments, **options):
    record = make(*arguments, **options)
    record.path = request.path  # outside of a request this raises
    return record

logging.setLogRecordFactory(make_with_path)
"""
NATIVE = """
import my_logging
from waterspout.native import RequestHandler

class Ping(RequestHandler):
    async def get(self):
        self.write("pong")

class Fails(RequestHandler):
    async def get(self):
        raise ValueError("of the handler")

routes = [("/ping", Ping), ("/fails", Fails)]
"""
FLASK = """
import my_logging
from flask import Flask

app = Flask(__name__)

@app.get("/streams")
def streams():
    return iter(["some ", "words"])  # its end is an empty chunk, or there is none

@app.get("/raises")
def raises():
    raise ValueError("of the view")
"""
SWEEPING = """
import logging.config
from flask import Flask

app = Flask(__name__)

@app.get("/sweeps")
def sweeps():
    logging.config.dictConfig({"version": 1})
    return "swept"

def serve(environ, start_response):
    if environ["PATH_INFO"] == "/raises":
        raise ValueError("of the app")
    return app(environ, start_response)
"""

ELSEWHERE = """
import os, time

os.environ["TZ"] = "Asia/Tokyo"
time.tzset()

def app(environ, start_response):
    raise ValueError("of the app")
"""


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
@pytest.mark.parametrize(
    ("recipe", "said"),
    [(RECIPE, "can't be logged: 127.0.0.1 GET /ping 200"), (FACTORY, "access 127.0.0.1 GET /ping 200")],
    ids=["a filter", "a record factory"],
)
def test_what_raises_over_every_line_costs_nothing_else(start_server, form, loop, tmp_path, recipe, said):
    for name, text in (("my_logging", recipe), ("my_native", NATIVE), ("my_flask", FLASK)):
        (tmp_path / f"{name}.py").write_text(text)
    # The last of two equal options counts: whatever the suite runs on, this covers both loops.
    arguments = ("--native", "my_native:routes", "--wsgi", "my_flask:app")
    server = start_server(*arguments, form=form, cwd=tmp_path, listen=("--port", "0", "--loop", loop))
    with server.connect() as connection:
        for _ in range(2):
            assert connection.ask("GET", "/streams").body == b"some words"
            assert connection.ask("GET", "/ping").body == b"pong"
            assert connection.ask("GET", "/raises").status == 500
            assert connection.ask("GET", "/fails").status == 500
    assert said in server.log
    assert "ValueError: of the handler" in server.log
    assert "ValueError: of the view" in server.log
    server.signal(signal.SIGTERM)
    assert server.wait() == 0


def test_a_view_that_configures_logging_turns_none_of_our_lines_off(start_server, form, tmp_path):
    (tmp_path / "my_sweeping.py").write_text(SWEEPING)
    server = start_server("--wsgi", "my_sweeping:serve", form=form, cwd=tmp_path)
    assert server.get("/sweeps").body == b"swept"
    assert server.get("/raises").status == 500
    assert server.log_lines("ValueError: of the app")
    assert server.log_lines("GET /raises 500")
    server.signal(signal.SIGTERM)
    assert server.wait() == 0
    assert server.log_lines("waterspout.server stopped")


@pytest.mark.parametrize("where", ["in the app", "in native code, too"])
def test_an_app_that_sets_a_time_zone_changes_no_line_of_ours(start_server, form, tmp_path, where):
    """As Django does where it reads its TIME_ZONE."""
    (tmp_path / "my_zone.py").write_text(ELSEWHERE)
    (tmp_path / "my_native.py").write_text(("import my_zone\n" if "too" in where else "") + "routes = []\n")
    arguments = ("--native", "my_native:routes", "--wsgi", "my_zone:app")
    server = start_server(*arguments, form=form, cwd=tmp_path, env={"TZ": "UTC"})
    assert server.get("/").status == 500
    lines = [*server.log_lines("GET / raised"), *server.log_lines("GET / 500")]
    times = {datetime.fromisoformat(line[:19]) for line in lines}
    assert len(lines) == 2
    assert all(abs(datetime.now(UTC).replace(tzinfo=None) - time) < timedelta(hours=1) for time in times)
