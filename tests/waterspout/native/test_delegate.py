"""What runs a handler, and with which transforms."""

import asyncio
import gzip
import logging

import pytest
from tornado import gen
from tornado.web import OutputTransform, RequestHandler, stream_request_body

from tests.waterspout.http.harness import on_loops
from tests.waterspout.native.test_handler import serve
from waterspout import Application
from waterspout.native.transform import RecordTransform

GET = b"GET %b HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n"


class Shows(RequestHandler):
    def get(self, *args, **kwargs):
        self.write({"alone": "_transforms" not in vars(self), "args": args, **kwargs})

    post = get


class Echoes(RequestHandler):
    def post(self):
        self.write(self.request.body)


class Executes(Shows):
    """Looks at its transforms before anybody else does."""

    async def _execute(self, transforms, *args, **kwargs):
        self.given = [type(transform) for transform in transforms]
        await super()._execute(transforms, *args, **kwargs)

    def get(self):
        self.write({"own": self.given == [RecordTransform]})


class Large(RequestHandler):
    def get(self):
        self.write("x" * 5000)


class Ignores(RequestHandler):
    """As some streaming handlers do, to keep their bytes from being compressed."""

    def get(self):
        self._transforms = []
        self.write("plain")


class Upper(OutputTransform):
    def transform_first_chunk(self, status_code, headers, chunk, finishing):
        headers["X-Upper"] = "yes"
        return status_code, headers, chunk.upper()


class Appends(RequestHandler):
    """As some handlers do, to change one reply."""

    def prepare(self):
        self._transforms.append(Upper(self.request))

    def get(self):
        self.write("text")


@stream_request_body
class Streams(Shows):
    def data_received(self, chunk):
        pass


@stream_request_body
class Begins(RequestHandler):
    """Begins its reply before it has the body, and ends it when the client has gone."""

    def __init_subclass__(cls):  # it is left alone
        pass

    async def prepare(self):
        self.write("begun")
        await self.flush()

    def data_received(self, chunk):
        pass

    def on_connection_close(self):
        super().on_connection_close()
        asyncio.get_running_loop().call_soon(self.finish)


ROUTES = [
    ("/", Shows),
    ("/begins", Begins),
    ("/executes", Executes),
    ("/ignores", Ignores),
    ("/appends", Appends),
    ("/args/(.)", Shows),
    ("/streams", Streams),
    ("/large", Large),
]


async def ask(client, path=b"/"):
    client.send(GET % path)
    return await client.read_reply()


@on_loops
async def test_a_handler_whose_transforms_are_ours_alone():
    async with serve(Application(ROUTES)) as served, served.client() as client:
        assert (await ask(client))[2] == b'{"alone": true, "args": []}'
        assert (await ask(client, b"/args/x"))[2] == b'{"alone": true, "args": ["x"]}'
        assert (await ask(client, b"/executes"))[2] == b'{"own": true}'
        assert (await ask(client, b"/streams"))[2] == b'{"alone": false, "args": []}'
        status, fields, body = await ask(client, b"/ignores")
        assert (status, body, "x-request-id" in fields) == (200, b"plain", False)


@on_loops
async def test_a_transform_that_a_handler_appends_is_its_own():
    async with serve(Application(ROUTES)) as served, served.client() as client:
        for _ in range(2):
            status, fields, body = await ask(client, b"/appends")
            assert (status, fields["x-upper"], body) == (200, "yes", b"TEXT")
            assert "x-request-id" in fields
        status, fields, body = await ask(client)
        assert ("x-upper" in fields, body) == (False, b'{"alone": true, "args": []}')


@on_loops
async def test_other_transforms_work_and_may_come_late():
    application = Application(ROUTES)
    async with serve(application) as served, served.client() as client:
        assert b"true" in (await ask(client))[2]
        application.add_transform(type("Late", (RecordTransform,), {}))
        status, fields, body = await ask(client)
        assert (status, b"false" in body, "x-request-id" in fields) == (200, True, True)
    async with serve(Application(ROUTES, compress_response=True)) as served, served.client() as client:
        status, fields, body = await ask(client, b"/large")
        assert (status, fields["content-encoding"], "x-request-id" in fields) == (200, "gzip", True)
        assert gzip.decompress(body) == b"x" * 5000


@on_loops
async def test_in_debug_mode_tornado_s_own_delegate_is_asked():
    async with serve(Application(ROUTES, debug=True, autoreload=False)) as served, served.client() as client:
        assert b"false" in (await ask(client))[2]


@on_loops
async def test_a_subclass_sees_every_request_where_it_overrides_something():
    seen = []

    class Finding(Application):
        def find_handler(self, request, **kwargs):
            seen.append(request.path)
            return super().find_handler(request, **kwargs)

    class Starting(Application):
        def start_request(self, server_conn, request_conn):
            seen.append("start")
            return super().start_request(server_conn, request_conn)

    class Delegating(Application):
        def get_handler_delegate(self, request, *args, **kwargs):
            seen.append(request.method)
            return super().get_handler_delegate(request, *args, **kwargs)

    for application in (Finding, Starting, Delegating):
        async with serve(application(ROUTES)) as served, served.client() as client:
            assert (await ask(client))[0] == 200
    assert seen == ["/", "start", "GET"]


@on_loops
async def test_a_log_function_is_called_and_lines_are_written_whatever_is_switched_on_meanwhile():
    called = []
    application = Application(ROUTES, log_function=lambda handler: called.append(handler.get_status()))
    async with serve(application) as served, served.client() as client:
        await ask(client)
    assert called == [200]
    lines, log = [], logging.getLogger("waterspout.access")
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    log.addHandler(handler)
    before = log.level
    try:
        async with serve(Application(ROUTES)) as served, served.client() as client:
            for level in (logging.INFO, logging.WARNING, logging.INFO):
                log.setLevel(level)
                await ask(client)
    finally:
        log.removeHandler(handler)
        log.setLevel(before)
    assert len(lines) == 2
    assert all(" GET / 200 27B " in line for line in lines)


@on_loops
async def test_a_body_is_handed_over_whole_however_it_comes():
    head = b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n%b\r\n"
    chunked = b"POST /body HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n"
    expecting = head % b"Expect: 100-continue\r\n"
    async with serve(Application([("/body", Echoes)])) as served, served.client() as client:
        for pieces in ([head % b"", b"body"], [head % b"" + b"body"], [chunked], [head % b"" + b"bo", b"dy"]):
            for piece in pieces:
                client.send(piece)
                await asyncio.sleep(0.01)
            assert (await client.read_reply())[2] == b"body"
        client.send((head % b"" + b"body") * 3)
        for _ in range(3):
            assert (await client.read_reply())[2] == b"body"
        client.send(expecting)
        assert (await client.head())[0] == 100
        client.send(b"body")
        assert (await client.read_reply())[2] == b"body"


@on_loops
async def test_a_body_over_the_limit_is_refused_however_it_comes():
    application = Application([("/body", Echoes)], native_max_body_size=3)
    head = b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
    async with serve(application) as served:
        async with served.client() as client:
            client.send(head % 3 + b"abc")
            assert (await client.read_reply())[2] == b"abc"
        for pieces in ([head % 4 + b"body"], [head % 4]):
            async with served.client() as client:
                client.send(*pieces)
                assert (await client.read_reply())[0] == 413


class Yields(Shows):
    """As libraries from before native coroutines do."""

    @gen.coroutine
    def _execute(self, transforms, *args, **kwargs):
        yield super()._execute(transforms, *args, **kwargs)


@on_loops
async def test_an_execute_under_gen_coroutine():
    async with serve(Application([("/", Yields), ("/<n>", Yields)])) as served, served.client() as client:
        for path in (b"/", b"/x"):
            status, _, body = await ask(client, path)
            assert (status, b'"alone": false' in body) == (200, True)


@pytest.mark.parametrize(
    ("path", "sent", "status", "word"),
    [
        ("/begins", b"zz\r\n", 200, "bad-framing"),
        ("/begins", b"b\r\nelevenbytes\r\n", 200, "body-too-large"),
        ("/streams", b"zz\r\n", 400, "bad-framing"),
        ("/streams", b"b\r\nelevenbytes\r\n", 413, "body-too-large"),
    ],
)
@on_loops
async def test_a_handler_that_streams_and_never_has_its_body_is_logged_and_counted_once(
    access_log, path, sent, status, word
):
    access_log.clear()
    application = Application(ROUTES, max_body_size=10)
    async with serve(application) as served, served.client() as client:
        client.send(b"POST %b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" % path.encode())
        client.send(b"1\r\na\r\n")
        if path == "/begins":
            await client.head()
        client.send(sent)
        client.half_close()
        await client.rest()
    (line,) = [line for line in access_log.messages if f"POST {path} " in line]
    assert f" {status} " in line
    assert line.endswith(f" {word}")
    answers = application.gauges.read()["native"]["answers"]
    application.gauges.lag.stop()
    assert {name: count for name, count in answers.items() if count} == {f"{status // 100}xx": 1}
