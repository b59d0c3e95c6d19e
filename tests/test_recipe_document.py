"""The programs of docs/recipe.md do the same, as they stand there."""

import asyncio
import re
from pathlib import Path

import pytest
from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.websocket import websocket_connect

from tests.server import PATIENCE, Server

DOCUMENT = Path(__file__).parent.parent / "docs" / "recipe.md"
FILES = dict(re.findall(r"```python\n# (\S+)\n(.*?)```", DOCUMENT.read_text(), flags=re.S))
COMMANDS = re.findall(r"^    waterspout serve (.*) --port 5000$", DOCUMENT.read_text(), flags=re.M)
DOUBT = (
    "the rule '.*' leads to Tornado's own WSGIContainer, and nothing else is served while one of its views"
)


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
