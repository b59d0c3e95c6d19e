"""A coroutine that returns what it should have written."""

import asyncio

import pytest
from tornado import gen
from tornado.web import RequestHandler

from tests.waterspout.http import harness
from tests.waterspout.http.harness import on_loops
from waterspout import Application, Decline, authenticated
from waterspout.native import JSONHandler

WHO = f"{__name__}.make.<locals>"


async def ask(served, method="GET", times=2):
    async with served.client() as client:
        for _ in range(times):
            client.send(f"{method} / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode())
            status, _, body = await client.read_reply()
        return status, body


async def serve_and_ask(handler, **options):
    application = Application([("/", handler)], login_loader=lambda handler: "ada")
    try:
        async with harness.serve(application) as served:
            return await ask(served, **options)
    finally:
        await application.stop()


def make(base):
    @authenticated
    class AsInFlask(base):
        async def get(self):
            await asyncio.sleep(0)
            return {"a": "secret"}

        async def post(self):
            return "text", 404

    @authenticated
    class Declines(base):
        async def get(self):
            return Decline()

    class Guarded(base):
        @authenticated
        @gen.coroutine
        def get(self):
            yield gen.sleep(0)
            return Decline

    return AsInFlask, Declines, Guarded


@pytest.mark.parametrize("base", [RequestHandler, JSONHandler])
@on_loops
async def test_it_is_told_once_of_each_class(base, caplog):
    as_in_flask, declines, guarded = make(base)
    assert await serve_and_ask(as_in_flask) == (200, b"")
    assert await serve_and_ask(as_in_flask, method="POST") == (200, b"")
    assert await serve_and_ask(declines) == await serve_and_ask(guarded) == (200, b"")
    nobody = "which is ignored, and wrote nothing: the reply is empty"
    assert caplog.messages == [
        f"{WHO}.AsInFlask: get() returned something of type dict, {nobody}; call self.write(...) or "
        "self.finish(...)",
        f"{WHO}.Declines: get() returned Decline, {nobody}; raise it",
        f"{WHO}.Guarded: get() returned Decline, {nobody}; raise it",
    ]


@authenticated
class Writes(RequestHandler):
    """Writes its reply, and returns something all the same."""

    async def get(self):
        self.write("x")
        return "y"

    async def post(self):
        return await self.finish("x")

    async def delete(self):
        self.set_status(204)
        return True

    async def patch(self):
        self._auto_finish = False
        asyncio.get_running_loop().call_soon(self.finish, "later")
        return "later"

    async def options(self):
        pass


@on_loops
async def test_what_has_a_reply_is_not_told(caplog):
    for method in ("GET", "POST", "DELETE", "PATCH", "OPTIONS"):
        await serve_and_ask(Writes, method=method)
    assert caplog.messages == []


@pytest.mark.parametrize("base", [RequestHandler, JSONHandler])
@on_loops
async def test_a_plain_method_that_returns_its_reply_is_told_so(base, caplog):
    @authenticated
    class Plain(base):
        def get(self):
            return "hello"

    assert (await serve_and_ask(Plain, times=1))[0] == 500
    (record,) = [record for record in caplog.records if record.exc_info]
    said = str(record.exc_info[1])
    assert said.startswith(
        "test_a_plain_method_that_returns_its_reply_is_told_so.<locals>.Plain.get() returned "
    )
    assert "type str: a handler writes its reply, with self.write(...)" in said


@pytest.mark.parametrize("base", [RequestHandler, JSONHandler])
@on_loops
async def test_whatever_can_be_awaited_is(base, caplog):
    awaited = []

    class Awaited:
        def __await__(self):
            awaited.append(self)
            return asyncio.sleep(0).__await__()

    @authenticated
    class Plain(base):
        def get(self):
            self.write({"a": 1})
            return Awaited()

    assert (await serve_and_ask(Plain))[0] == 200
    assert awaited
    assert not [record for record in caplog.records if record.exc_info]
