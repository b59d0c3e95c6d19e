"""A contestant's start, answer and end, on servers that are a few lines of Python."""

import sys
import textwrap
from pathlib import Path

import pytest

from benchmarks import server as module
from benchmarks.contestants import Contestant
from benchmarks.errors import BenchmarkError
from benchmarks.processes import find_members, read_cpu, read_memory, read_peak, reset_peak
from benchmarks.server import Server, read_body

SERVES = """
    import http.server, os, sys
    print("a foreign variable" if "FLASK_DEBUG" in os.environ else "clean", flush=True)
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"hello")
    http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
LEAVES = "print('no such module'); raise SystemExit(3)"
SLEEPS = "import time; print('loading', flush=True); time.sleep(60)"


@pytest.fixture(autouse=True)
def this_python(monkeypatch):
    """These tests have no .venv-bench."""
    monkeypatch.setattr(module, "PYTHON", Path(sys.executable))


@pytest.fixture
def make_server(tmp_path):
    def make_server(code):
        contestant = Contestant("the tested one", ("-c", textwrap.dedent(code), "{port}"))
        return Server(contestant, tmp_path / "log", pinned=False)

    return make_server


def test_a_server_is_there_inside_and_gone_after(make_server, monkeypatch):
    monkeypatch.setenv("FLASK_DEBUG", "1")
    with make_server(SERVES) as server:
        server.check("/", "hello")
        pid = server.process.pid
        assert find_members(pid) == [pid]
        assert read_memory(pid) > 1000
        assert read_cpu(pid) >= 0
        reset_peak(pid)
        assert read_peak(pid) == pytest.approx(read_memory(pid), rel=0.2)
        assert server.log.read_text().startswith("clean\n")
    assert find_members(pid) == []


def test_another_answer_is_an_error(make_server):
    with make_server(SERVES) as server, pytest.raises(BenchmarkError, match="b'hello', not 'hallo'"):
        server.check("/", "hallo")


def test_one_that_ends_at_its_start_is_an_error_with_the_end_of_its_log(make_server):
    with pytest.raises(BenchmarkError, match=r"(?s)tested one ended .* status 3.*no such module"):
        make_server(LEAVES).__enter__()


def test_one_that_never_listens_is_an_error_and_is_stopped(make_server, monkeypatch):
    monkeypatch.setattr(module, "START_TIMEOUT", 0.5)
    server = make_server(SLEEPS)
    with pytest.raises(BenchmarkError, match="does not listen"):
        server.__enter__()
    assert server.process.returncode is not None


@pytest.mark.parametrize(
    ("body", "expected", "found"),
    [
        (b"text", "text", "text"),
        (b'{"a":1}\n', {"a": 1}, {"a": 1}),
        (b"<html>", {"a": 1}, None),
        (b"\xff", "text", None),
    ],
)
def test_a_body_is_text_or_what_its_json_says(body, expected, found):
    assert read_body(body, expected) == found
