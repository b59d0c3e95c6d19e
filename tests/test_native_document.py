"""Examples of docs/native.md, served together as they stand there."""

import asyncio
import json
import re
import signal
from pathlib import Path

import pytest
from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.websocket import websocket_connect

from tests.server import Server, poll
from waterspout.native.live import Event
from waterspout.native.live.stream import BEAT, RETRY

DOCUMENT = Path(__file__).parent.parent / "docs" / "native.md"
SIGNED_IN = """
from pathlib import Path
from types import SimpleNamespace


async def load_user(handler):
    user_id = handler.get_cookie("user", "")
    is_enabled = bool(user_id) and not Path(user_id).exists()
    return SimpleNamespace(id=user_id) if is_enabled else None
"""
WAYS_IN = """
from tornado.web import HTTPError, StaticFileHandler
from waterspout.native import JSONErrors
from waterspout.native.live import Event, SocketHandler, StreamHandler, Watch
from yourpackage.chat import Chat


class Still:
    async def newest(self):
        return (0,)


@waterspout.authenticated
class LiveSocket(UntilSignedOut, SocketHandler):
    pass


@waterspout.authenticated
class LiveStream(UntilSignedOut, StreamHandler):
    pass


@waterspout.authenticated
class OwnSocket(UntilSignedOut, Chat):
    pass


@waterspout.authenticated
class OwnStream(UntilSignedOut, Notes):
    pass


@waterspout.public
class Errors(JSONHandler):
    def get(self, status):
        raise HTTPError(int(status))


@waterspout.public
class Files(JSONErrors, StaticFileHandler):
    pass


@waterspout.public
class OwnErrors(API):
    def get(self, status):
        raise HTTPError(int(status))


app = waterspout.Application(
    native=[
        *routes,
        ("/ws", LiveSocket),
        ("/stream", LiveStream),
        ("/own-ws", OwnSocket),
        ("/own-stream", OwnStream),
        ("/errors/<status>", Errors),
        ("/own-errors/<status>", OwnErrors),
        ("/files/<path:path>", Files, {"path": "."}),
    ],
    wsgi="yourpackage.web:app",
    login_loader=load_user,
    login_url="/login",
    watch=Watch("still", Still()),
)
"""
WEB = """
import waterspout
from flask import Flask, request

app = Flask(__name__)


@app.post("/notes/<user_id>")
def note(user_id):
    waterspout.publish(f"notes:{user_id}", request.get_json())
    return ""


@app.post("/logout/<user_id>")
def leave(user_id):
    waterspout.publish(f"sign-out:{user_id}", None)
    return ""
"""
OF_USERS = """
from collections import Counter

from tornado.web import RequestHandler
from waterspout.native.live import Event

numbers = Counter()


class Notes:
    def __init__(self, user_id):
        self.user_id = user_id

    async def newest(self):
        return (numbers[self.user_id],)

    async def event(self, since):
        return Event.make("notes", await self.newest(), {"of": self.user_id})


@waterspout.public
class Add(RequestHandler):
    def post(self, user_id):
        numbers[user_id] += 1
        waterspout.publish(f"notes:{user_id}", None)


@waterspout.public
class Watches(RequestHandler):
    def get(self):
        self.write(str(len(watches)))


app = waterspout.Application(
    native=[
        ("/poll", UserPoll),
        ("/stream", UserStream),
        ("/ws", UserSocket),
        ("/add/<user_id>", Add),
        ("/watches", Watches),
    ],
    login_loader=load_user,
    login_url="/login",
)
"""
UPLOADING = """

app = waterspout.Application(
    native=[("/uploads", Upload)], login_loader=load_user, login_url="/login"
)
"""
MAIN = """
from yourpackage import chat, hook
from yourpackage.shop import Shop

app = Shop(native=[*chat.routes, *hook.routes])
"""


def find_code(sign):
    (code,) = [
        block for block in re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.S) if sign in block
    ]
    return code


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv("HOOK_SECRET", "a word of theirs")
    package = tmp_path / "yourpackage"
    package.mkdir()
    for name, sign in (("chat", "class Chat"), ("hook", "class Publish"), ("shop", "class Shop")):
        (package / f"{name}.py").write_text(
            find_code(sign).replace("asyncio.sleep(10)", "asyncio.sleep(0.2)")
        )
    (package / "__init__.py").touch()
    (package / "main.py").write_text(MAIN)
    server = Server("yourpackage.main:app", folder=tmp_path, cwd=tmp_path)
    yield server
    server.stop()


async def wait_for_message(socket, said):
    """Wait for `said`; messages of the application's ticker in between are skipped."""
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
    while await socket.read_message() is not None:  # else the collector closes it, in a later test
        pass
    client.close()


def test_the_socket_the_hook_and_what_runs_with_the_server_work_together(server):
    asyncio.run(asyncio.wait_for(use(server.port), 20))


@pytest.fixture
def signing_late(tmp_path):
    """Streams, sockets and errors; what takes a minute, or 15 s, in the document happens sooner. `answer`:
    what the loader returns when it is asked again.
    """
    servers = []

    def start(answer=None):
        package = tmp_path / "yourpackage"
        package.mkdir()
        (package / "__init__.py").touch()
        (package / "chat.py").write_text(find_code("class Chat"))
        (package / "web.py").write_text(WEB)
        parts = [find_code("class Notes"), find_code("class UntilSignedOut"), find_code("class API"), WAYS_IN]
        code = "\n".join([SIGNED_IN, *parts]).replace("notes), 15)", "notes), 0.3)")
        code = code.replace("sign_outs), 60)", "sign_outs), 0.3)")
        if answer is not None:
            again = f"    if handler.current_user is not None:\n        return {answer}\n"
            code = code.replace("async def load_user(handler):\n", "async def load_user(handler):\n" + again)
        (package / "main.py").write_text(code)
        servers.append(Server("yourpackage.main:app", form="process", folder=tmp_path, cwd=tmp_path))
        return servers[0]

    yield start
    servers[0].stop()


@pytest.fixture
def signing(signing_late):
    return signing_late()


def open_stream(connection, path, user="7"):
    connection.send_request("GET", path, [("Cookie", f"user={user}")])
    head = connection.head()
    assert head.status == 200
    return head


def test_a_stream_of_one_s_own_beats_and_loses_nothing(signing):
    with signing.connect() as stream:
        head = open_stream(stream, "/notes")
        assert [stream.next_chunk(head) for _ in range(2)] == [b": \n\n"] * 2
        for number in range(5):
            signing.ask("POST", "/notes/8", [("Content-Type", "application/json")], b'"another\'s"')
            signing.ask("POST", "/notes/7", [("Content-Type", "application/json")], b"%d" % number)
        chunks = [stream.next_chunk(head) for _ in range(5)]
        while len(notes := [chunk for chunk in chunks if chunk != b": \n\n"]) < 5:
            chunks.append(stream.next_chunk(head))
    assert notes == [b"data: %d\n\n" % number for number in range(5)]
    assert signing.log_lines("/notes 200")[0].endswith("client-left")


def end(signing, way, folder):
    if way == "signs out":
        assert signing.ask("POST", "/logout/7").status == 200
    else:
        (folder / "7").touch()


@pytest.mark.parametrize("way", ["signs out", "is disabled"])
def test_what_is_open_ends_when_its_user(signing, tmp_path, way):
    async def use(path):
        async def open_socket(user):
            request = HTTPRequest(f"ws://127.0.0.1:{signing.port}{path}", headers={"Cookie": f"user={user}"})
            return await websocket_connect(request)

        socket, other = await open_socket("7"), await open_socket("8")
        await asyncio.sleep(1)  # several checks
        end(signing, way, tmp_path)
        while await socket.read_message() is not None:
            pass
        assert (socket.close_code, socket.close_reason) == (4401, "signed out")
        socket.close()
        assert other.close_code is None
        other.close()
        while await other.read_message() is not None:
            pass
        (tmp_path / "7").unlink(missing_ok=True)

    for path in ("/ws", "/own-ws"):
        asyncio.run(asyncio.wait_for(use(path), 20))
    for path in ("/stream", "/own-stream"):
        with signing.connect() as stream, signing.connect() as other:
            head = open_stream(stream, path)
            other_head = open_stream(other, path, "8")
            end(signing, way, tmp_path)
            while stream.next_chunk(head):
                pass
            while path == "/own-stream" and other.next_chunk(other_head) != b": \n\n":
                pass
        (tmp_path / "7").unlink(missing_ok=True)


def test_a_socket_that_nobody_signs_out_of_hears_of_the_stop(signing):
    async def use():
        request = HTTPRequest(f"ws://127.0.0.1:{signing.port}/ws", headers={"Cookie": "user=7"})
        socket = await websocket_connect(request)
        signing.signal(signal.SIGTERM)
        while await socket.read_message() is not None:
            pass
        socket.close()
        return socket.close_code

    assert asyncio.run(asyncio.wait_for(use(), 20)) == 1001


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("None", b""),
        ("1 / 0", b"whether 7 has signed out can't be asked"),
        ("await asyncio.sleep(0)", b""),
    ],
)
def test_whoever_is_unknown_as_it_opens_is_not_kept(signing_late, answer, said):
    signing = signing_late(answer)

    async def use():
        request = HTTPRequest(f"ws://127.0.0.1:{signing.port}/ws", headers={"Cookie": "user=7"})
        socket = await websocket_connect(request)
        while await socket.read_message() is not None:
            pass
        socket.close()
        return socket.close_code

    assert asyncio.run(asyncio.wait_for(use(), 20)) == (1011 if said else 4401)
    assert said in signing.log_bytes
    with signing.connect() as stream:
        head = open_stream(stream, "/own-stream")
        while stream.next_chunk(head):
            pass


def test_errors_have_the_form_that_is_said(signing):
    for path, status, said in (
        ("/errors/403", 403, {"error": "Forbidden"}),
        ("/files/nothing", 404, {"error": "Not Found"}),
        ("/errors/x", 500, {"error": "Internal Server Error"}),
        ("/own-errors/404", 404, {"error": {"code": 404, "message": "not found"}}),
    ):
        reply = signing.get(path)
        assert (reply.status, json.loads(reply.body)) == (status, said)
        assert reply.header("Content-Type") == "application/json; charset=UTF-8"
    reply = signing.ask("POST", "/errors/403")
    assert (reply.status, reply.header("Content-Type")) == (405, "text/plain; charset=utf-8")
    assert reply.text.strip() == "405 Method Not Allowed"


def test_events_look_as_is_said():
    event = Event.make("score", (12,), {"points": 3})
    document = DOCUMENT.read_text()
    assert f"`{event.message}`" in document
    assert f'`{{"cursor": "12", "events": [{event.message}]}}`' in document
    assert ", ".join(f"`{line}`" for line in event.block.decode().split("\n") if line) in document
    assert ", ".join(f"`{line}`" for line in BEAT.decode().split("\n") if line) in document
    assert f"({RETRY.start} to {RETRY.stop - 1} ms)" in document


@pytest.fixture
def uploading(tmp_path):
    (tmp_path / "shop.py").write_text(
        SIGNED_IN + find_code("class Upload").replace("/var/lib/shop/uploads", "kept") + UPLOADING
    )
    server = Server("shop:app", folder=tmp_path, cwd=tmp_path)
    yield server
    server.stop()


def test_a_file_that_is_its_own_body_is_stored_whole_or_not_at_all(uploading, tmp_path):
    user, kept = ("Cookie", "user=7"), tmp_path / "kept"
    image = b"\x89PNG\r\n\x1a\n" + bytes(1_000_000)
    for body, status in ((image, 200), (b"MZ" + bytes(100), 415), (b"", 415)):
        reply = uploading.ask("PUT", "/uploads", [user], body)
        assert reply.status == status
    assert uploading.ask("PUT", "/uploads", body=image).status == 403
    with uploading.connect() as client:
        client.send_head("PUT", "/uploads", [user, ("Content-Length", str(len(image)))])
        client.send(image[:-1])
    assert uploading.log_lines("client-left")
    stored = uploading.ask("PUT", "/uploads", [user], image)
    assert json.loads(stored.body) | {"name": ""} == {"name": "", "size": len(image)}
    assert [path.read_bytes() for path in kept.iterdir()] == [image, image]


@pytest.fixture
def of_users(tmp_path):
    (tmp_path / "notes.py").write_text(SIGNED_IN + find_code("class OfUser") + OF_USERS)
    server = Server("notes:app", folder=tmp_path, cwd=tmp_path)
    yield server
    server.stop()


def test_each_user_s_pages_follow_their_own_source(of_users):
    seven, eight = ([("Cookie", f"user={user_id}")] for user_id in "78")
    with of_users.connect() as sevens, of_users.connect() as eights:
        sevens.send_request("GET", "/poll?since=0", seven)
        head = open_stream(eights, "/stream", "8")
        assert BEAT in eights.next_chunk(head)
        assert poll(lambda: of_users.get("/watches").body == b"2")
        assert of_users.ask("POST", "/add/8").status == 200
        assert b'data: {"of": "8"}' in eights.next_chunk(head)
        assert of_users.ask("POST", "/add/7").status == 200
        event = {"event": "notes", "cursor": "1", "data": {"of": "7"}}
        assert sevens.reply().json() == {"cursor": "1", "events": [event]}

    async def use():
        url = f"ws://127.0.0.1:{of_users.port}/ws?since=0"
        socket = await websocket_connect(HTTPRequest(url, headers=dict(eight)))
        assert json.loads(await socket.read_message())["data"] == {"of": "8"}
        socket.close()
        assert await socket.read_message() is None

    asyncio.run(use())
    assert poll(lambda: of_users.get("/watches").body == b"0")
    assert of_users.get("/poll").status == 401
