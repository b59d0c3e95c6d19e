"""The programs of docs/recipe.md do the same, as they stand there."""

import asyncio
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.websocket import websocket_connect

from tests.server import PATIENCE, Server, environment, reserved_port

DOCUMENT = Path(__file__).parent.parent / "docs" / "recipe.md"
FILES = dict(re.findall(r"```python\n# (\S+)\n(.*?)```", DOCUMENT.read_text(), flags=re.S))
COMMANDS = re.findall(r"^    waterspout serve (.*) --port 5000$", DOCUMENT.read_text(), flags=re.M)
DOUBT = (
    "the rule '.*' leads to Tornado's own WSGIContainer, and nothing else is served while one of its views"
)
#: As its last section says.
STAYS = """
import sys

import waterspout
from tornado.ioloop import IOLoop
from tornado.web import Application, FallbackHandler
from yourpackage.chat import routes

container = waterspout.Container("yourpackage.web:app")
application = Application([*routes, (r".*", FallbackHandler, {"fallback": container})])

if __name__ == "__main__":
    application.listen(int(sys.argv[1]), "127.0.0.1")
    IOLoop.current().run_sync(container.start)
    print("started", flush=True)
    try:
        IOLoop.current().start()
    except KeyboardInterrupt:
        IOLoop.current().run_sync(container.stop)
"""


@pytest.fixture
def project(tmp_path):
    for path, code in FILES.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(code)
    return tmp_path


async def chat(port):
    """What a client in the chat is sent when somebody says something."""
    client = await websocket_connect(f"ws://127.0.0.1:{port}/chat")
    said = HTTPRequest(f"http://127.0.0.1:{port}/say", method="POST", body="words=hello")
    assert (await AsyncHTTPClient().fetch(said)).code == 204
    message = await asyncio.wait_for(client.read_message(), PATIENCE)
    client.close()
    return message


@pytest.mark.parametrize("arguments", ["server:application", *COMMANDS])
def test_what_a_view_is_told_reaches_the_chat(project, arguments):
    assert len(COMMANDS) == 2
    server = Server(*arguments.split(), folder=project, cwd=project)
    try:
        assert asyncio.run(chat(server.address[1])) == "hello"
        assert (DOUBT in server.log) is arguments.startswith("server")
    finally:
        server.stop()


def test_a_program_that_stays_replaces_the_container_alone(project):
    (project / "stays.py").write_text(STAYS)
    with reserved_port() as port:
        program = subprocess.Popen(
            [sys.executable, "stays.py", str(port)],
            cwd=project,
            env=environment(project, {}),
            stdout=subprocess.PIPE,
        )
        try:
            assert program.stdout.readline() == b"started\n"
            assert asyncio.run(chat(port)) == "hello"
        finally:
            program.send_signal(signal.SIGINT)
            assert program.wait(PATIENCE) == 0
            program.stdout.close()
