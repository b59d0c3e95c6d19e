"""Examples of docs/native.md, served together as they stand there."""

import asyncio
import json
import re
from pathlib import Path

import pytest
from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.websocket import websocket_connect

from tests.server import Server

DOCUMENT = Path(__file__).parent.parent / "docs" / "native.md"
MAIN = """
from yourpackage import chat, hook
from yourpackage.shop import Shop

app = Shop(native=[*chat.routes, *hook.routes])
"""


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv("HOOK_SECRET", "a word of theirs")
    package = tmp_path / "yourpackage"
    package.mkdir()
    blocks = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.S)
    for name, sign in (("chat", "class Chat"), ("hook", "class Publish"), ("shop", "class Shop")):
        (code,) = [block for block in blocks if sign in block]
        (package / f"{name}.py").write_text(code.replace("asyncio.sleep(10)", "asyncio.sleep(0.2)"))
    (package / "__init__.py").touch()
    (package / "main.py").write_text(MAIN)
    server = Server("yourpackage.main:app", folder=tmp_path, cwd=tmp_path)
    yield server
    server.stop()


async def wait_for_message(socket, said):
    """What is said by others, the ticking of the application, passes."""
    while (message := json.loads(await socket.read_message())) != said:
        assert message == {"said": "tick"}


async def use(port):
    client = AsyncHTTPClient(force_instance=True)
    socket = await websocket_connect(f"ws://127.0.0.1:{port}/chat")
    await wait_for_message(socket, {"said": "tick"})
    await socket.write_message("hello")
    await wait_for_message(socket, {"said": "hello"})
    hook = HTTPRequest(f"http://127.0.0.1:{port}/hooks/chat", method="POST", body=json.dumps({"at": 1}))
    assert (await client.fetch(hook, raise_error=False)).code == 403
    hook.headers["X-Hook"] = "a word of theirs"
    assert (await client.fetch(hook)).code == 204
    await wait_for_message(socket, {"at": 1})
    socket.close()
    while await socket.read_message() is not None:  # else its end is left to the collector, and a later test
        pass
    client.close()


def test_the_socket_the_hook_and_what_runs_with_the_server_work_together(server):
    asyncio.run(asyncio.wait_for(use(server.port), 20))
