"""nginx in front of Tornado and gunicorn, where it is installed."""

import subprocess
import sys

import pytest

from benchmarks.apps.nginx_server import CONFIGURATION
from benchmarks.environment import ROOT
from benchmarks.machine import find_nginx, nginx_folders
from benchmarks.server import fetch, find_port, is_listening
from tests.server import poll


def test_its_configuration_names_both_upstreams():
    text = CONFIGURATION.format(
        folder="/tmp/x", folders=nginx_folders("/tmp/x"), native=1001, flask=1002, port=1003
    )
    assert "upstream native { server 127.0.0.1:1001; keepalive 32; }" in text
    assert "listen 127.0.0.1:1003 " in text
    assert "{{" not in text


@pytest.mark.skipif(find_nginx() is None, reason="nginx is not installed")
def test_both_sides_are_served_and_all_end_together():
    port = find_port()
    command = [sys.executable, "-m", "benchmarks.apps.nginx_server", str(port), "1"]
    server = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        assert poll(lambda: is_listening(port), 20)
        assert fetch(port, "/json", 10) == (200, b'{"message": "Hello, world"}')
        assert fetch(port, "/", 10) == (200, b"Hello from Flask")
    finally:
        server.terminate()
        server.wait(20)
    assert not is_listening(port)
