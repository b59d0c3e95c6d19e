"""The idle clients, against Tornado's WebSocket server."""

import subprocess
import sys

from benchmarks.environment import ROOT
from benchmarks.server import find_port
from tests.server import poll


def run_clients(port, path, said):
    command = [sys.executable, "-m", "benchmarks.clients", str(port), path, "5"]
    return subprocess.run(command, cwd=ROOT, input=said, capture_output=True, text=True, timeout=30).stdout


def test_clients_open_and_are_alive():
    port = find_port()
    command = [sys.executable, "-m", "benchmarks.apps.tornado_server", "benchmarks.apps.native", str(port)]
    server = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        assert poll(lambda: run_clients(port, "/socket", "\n") == "open\nalive\n", 30)
        assert run_clients(port, "/json", "\n").startswith("failed: ConnectionError")
    finally:
        server.terminate()
        server.wait(20)
