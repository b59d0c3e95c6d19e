"""Static files under our Application: the same as Tornado's own, whichever way their bytes take."""

import asyncio
import os
import re
import zlib
from contextlib import asynccontextmanager

import pytest
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import RequestHandler, StaticFileHandler

from tests.waterspout.http.harness import Client, on_loops, until
from tests.waterspout.http.harness import serve as serve_http
from tests.waterspout.tls import tls_contexts
from waterspout.application import Application
from waterspout.http import HTTPSettings
from waterspout.http.exchange import Exchange
from waterspout.limits import MIB, SENDFILE_FLOOR
from waterspout.native.static import SendingFileHandler, send_content

LARGE = os.urandom(MIB) * 3
SMALL = b"small"
TEXT = b"all work and no play " * 20_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    (folder / "large.bin").write_bytes(LARGE)
    (folder / "small.bin").write_bytes(SMALL)
    (folder / "text.txt").write_bytes(TEXT)
    os.mkfifo(folder / "pipe")
    return folder


@pytest.fixture
def sent(monkeypatch):
    """The sizes of what went out by sendfile."""
    sizes = []
    write_file = Exchange.write_file

    def counted(exchange, file, offset, size):
        part = write_file(exchange, file, offset, size)
        if part is not None:
            sizes.append(size)
        return part

    monkeypatch.setattr(Exchange, "write_file", counted)
    return sizes


@asynccontextmanager
async def serve(application, **options):
    async with serve_http(application, **options) as served:
        yield served
    await application.stop()


def make(folder, handler=StaticFileHandler, **settings):
    return Application(native=[(r"/(.*)", handler, {"path": str(folder)})], **settings)


def request(target, *lines, method="GET"):
    return "\r\n".join([f"{method} {target} HTTP/1.1", "Host: x", *lines, "", ""]).encode()


async def ask(client, target, *lines):
    client.send(request(target, *lines))
    return await client.read_reply()


@on_loops
async def test_a_large_file_goes_out_by_sendfile_and_a_small_one_as_ever(folder, sent):
    async with serve(make(folder)) as served, served.client() as client:
        status, fields, body = await ask(client, "/large.bin")
        assert (status, body) == (200, LARGE)
        assert fields["content-length"] == str(len(LARGE))
        assert fields["etag"]
        assert sent == [len(LARGE)]
        assert (await ask(client, "/small.bin"))[2] == SMALL
        assert sent == [len(LARGE)]


@on_loops
@pytest.mark.parametrize(
    ("said", "start", "end"),
    [
        ("bytes=5-", 5, len(LARGE)),
        (f"bytes=1000-{MIB}", 1000, MIB + 1),
        (f"bytes=-{SENDFILE_FLOOR}", len(LARGE) - SENDFILE_FLOOR, len(LARGE)),
        (f"bytes=100-{10 * len(LARGE)}", 100, len(LARGE)),
        ("bytes=7-9", 7, 10),
    ],
)
async def test_a_range_is_what_was_asked_for(folder, sent, said, start, end):
    async with serve(make(folder)) as served, served.client() as client:
        status, fields, body = await ask(client, "/large.bin", f"Range: {said}")
        assert (status, body) == (206, LARGE[start:end])
        assert fields["content-range"] == f"bytes {start}-{end - 1}/{len(LARGE)}"
        assert sent == ([end - start] if end - start >= SENDFILE_FLOOR else [])
        assert (await ask(client, "/small.bin"))[2] == SMALL


@on_loops
async def test_who_replaces_where_files_come_from_is_obeyed(folder, sent, monkeypatch):
    """Some change a page of another package that way."""
    monkeypatch.setattr(StaticFileHandler, "get_content", classmethod(lambda cls, path, *_: [LARGE[::-1]]))
    async with serve(make(folder)) as served, served.client() as client:
        assert (await ask(client, "/large.bin"))[2] == LARGE[::-1]
    assert sent == []


OLD_DATE = "Sun, 09 Sep 2001 01:46:40 GMT"


@on_loops
@pytest.mark.parametrize("by", ["etag", "last-modified"])
async def test_a_download_is_resumed_if_its_file_is_the_same(tmp_path, by):
    file = tmp_path / "file.bin"
    file.write_bytes(b"old " * 1000)
    os.utime(file, (1e9, 1e9))
    async with serve(make(tmp_path)) as served, served.client() as client:
        _, fields, _ = await ask(client, "/file.bin")
        assert fields["last-modified"] == OLD_DATE
        resume = ("Range: bytes=4-", f"If-Range: {fields[by]}")
        status, _, body = await ask(client, "/file.bin", *resume)
        assert (status, body) == (206, b"old " * 999)
        file.write_bytes(b"new " * 1000)
        for _ in range(2):
            status, fields, body = await ask(client, "/file.bin", *resume)
            assert (status, body) == (200, b"new " * 1000)
            assert fields["last-modified"] != OLD_DATE
        resume = ("Range: bytes=4-", f"If-Range: {fields['last-modified']}")
        assert (await ask(client, "/file.bin", *resume))[0] == 206


@on_loops
@pytest.mark.parametrize("condition", ['W/"{}"', "{}", '"other"', "Sun, 09 Sep 2001 01:46:41 GMT", "x", ""])
async def test_what_a_file_is_not_known_by_resumes_nothing(folder, condition):
    async with serve(make(folder)) as served, served.client() as client:
        etag = (await ask(client, "/small.bin"))[1]["etag"]
        condition = condition.replace("{}", etag.strip('"'))
        status, _, body = await ask(client, "/small.bin", "Range: bytes=1-", f"If-Range: {condition}")
        assert (status, body) == (200, SMALL)


@on_loops
async def test_a_download_of_a_file_that_was_only_touched_is_resumed(tmp_path):
    file = tmp_path / "file.bin"
    file.write_bytes(b"same " * 1000)
    async with serve(make(tmp_path)) as served, served.client() as client:
        etag = (await ask(client, "/file.bin"))[1]["etag"]
        os.utime(file, (1e9, 1e9))
        status, fields, body = await ask(client, "/file.bin", "Range: bytes=5-", f"If-Range: {etag}")
        assert (status, fields["etag"], body) == (206, etag, b"same " * 999)


@on_loops
async def test_an_etag_that_is_older_than_the_first_request_resumes_nothing(tmp_path):
    """`static_url` in a page makes one, too."""
    file = tmp_path / "file.bin"
    file.write_bytes(b"old")
    application = make(tmp_path)
    etag = StaticFileHandler.get_version({"static_path": str(tmp_path)}, "file.bin")
    file.write_bytes(b"new")
    async with serve(application) as served, served.client() as client:
        resume = ("Range: bytes=1-", f'If-Range: "{etag}"')
        assert (await ask(client, "/file.bin", *resume))[::2] == (200, b"new")


@on_loops
@pytest.mark.parametrize("how", ["written", "replaced"])
async def test_a_browser_gets_a_file_that_has_changed(tmp_path, how):
    """Within a second, and of the same size."""
    file = tmp_path / "file.bin"
    file.write_bytes(b"old")
    async with serve(make(tmp_path)) as served, served.client() as client:
        _, fields, _ = await ask(client, "/file.bin")
        kept = f"If-None-Match: {fields['etag']}"
        assert (await ask(client, "/file.bin", kept))[0] == 304
        if how == "replaced":
            (tmp_path / "new").write_bytes(b"new")
            os.utime(tmp_path / "new", ns=(file.stat().st_mtime_ns,) * 2)
            (tmp_path / "new").replace(file)
        else:
            await asyncio.sleep(0.05)
            file.write_bytes(b"new")
        status, changed, body = await ask(client, "/file.bin", kept)
        assert (status, body) == (200, b"new")
        assert changed["etag"] != fields["etag"]
        file.write_bytes(b"old")
        os.utime(file, (1e9, 1e9))
        assert (await ask(client, "/file.bin", kept))[0] == 304


@on_loops
async def test_what_is_too_large_for_an_etag_has_none_and_is_read_for_it_once(tmp_path, caplog):
    class Little(StaticFileHandler):
        MAX_VERSION_CONTENT_SIZE = 3

    (tmp_path / "file.bin").write_bytes(b"larger")
    async with serve(make(tmp_path, Little)) as served, served.client() as client:
        for _ in range(2):
            status, fields, body = await ask(client, "/file.bin")
            assert (status, body, "etag" in fields) == (200, b"larger", False)
    assert caplog.text.count("MAX_VERSION_CONTENT_SIZE") == 1


@on_loops
async def test_what_a_subclass_serves_need_not_be_a_file(tmp_path):
    class Made(StaticFileHandler):
        def validate_absolute_path(self, root, absolute_path):
            return absolute_path

        @classmethod
        def get_content(cls, abspath, start=None, end=None):
            return b"made"

        def get_content_size(self):
            return 4

        def get_modified_time(self):
            return None

    async with serve(make(tmp_path, Made)) as served, served.client() as client:
        status, fields, body = await ask(client, "/nowhere")
        assert (status, body) == (200, b"made")
        assert (await ask(client, "/nowhere", f"If-None-Match: {fields['etag']}"))[0] == 304


@on_loops
async def test_what_has_no_body_sends_no_file(folder, sent):
    async with serve(make(folder)) as served, served.client() as client:
        client.send(request("/large.bin", method="HEAD"))
        status, fields = await client.head()
        assert (status, fields["content-length"]) == (200, str(len(LARGE)))
        assert (await ask(client, "/large.bin", f"If-None-Match: {fields['etag']}"))[0] == 304
        assert (await ask(client, "/large.bin", f"Range: bytes={len(LARGE)}-"))[0] == 416
        assert (await ask(client, "/missing.bin"))[0] == 404
        assert (await ask(client, "/pipe"))[0] == 403
        assert sent == []


@on_loops
async def test_the_access_log_counts_what_was_sent(folder, caplog):
    caplog.set_level("INFO", "waterspout.access")
    async with serve(make(folder)) as served, served.client() as client:
        await ask(client, "/large.bin")
        await ask(client, "/small.bin")
    assert f"/large.bin 200 {len(LARGE)}B " in caplog.text


class Sends(RequestHandler):
    """Sends a file itself, before and behind other bytes, and waits for it or not."""

    async def get(self, name):
        file = (self.settings["folder"] / name).open("rb", buffering=0)
        self.set_header("Content-Length", 2 + file.seek(0, 2))
        self.write("<")
        self.flush()
        self.request.connection.write_file(file, 0, file.tell())
        if "waits" in self.request.query:
            await self.flush()
        self.write(">")


@on_loops
@pytest.mark.parametrize("query", ["", "?waits"])
async def test_a_file_that_a_handler_sends_itself_counts_too(folder, caplog, query):
    caplog.set_level("INFO", "waterspout.access")
    application = Application([("/sends/(.*)", Sends)], folder=folder)
    async with serve(application) as served, served.client() as client:
        assert (await ask(client, f"/sends/large.bin{query}"))[2] == b"<" + LARGE + b">"
    [line] = lines_of(caplog)
    assert f" 200 {len(LARGE) + 2}B " in line


@on_loops
@pytest.mark.parametrize("query", ["", "?waits"])
async def test_of_one_that_was_broken_off_what_was_sent_counts(tmp_path, caplog, query):
    caplog.set_level("INFO", "waterspout.access")
    (tmp_path / "file.bin").write_bytes(bytes(16 * MIB))
    application = Application([("/sends/(.*)", Sends)], folder=tmp_path)
    async with serve(application) as served, served.client(receive=4096) as client:
        client.send(request(f"/sends/file.bin{query}"))
        await client.head()
        client.reset()
        await until(lambda: lines_of(caplog))
    [line] = lines_of(caplog)
    sent = int(re.search(r" 200 (\d+)B ", line)[1])
    assert sent < 16 * MIB if query else sent == 16 * MIB + 2  # it was all written before the client left


@on_loops
@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("end", ["close", "reset", "stall", "shrink"])
async def test_the_access_log_tells_a_file_that_was_broken_off(tmp_path, caplog, end, tls):
    caplog.set_level("INFO", "waterspout.access")
    file, size = tmp_path / "file.bin", 16 * MIB
    file.write_bytes(bytes(size))
    options = {"settings": HTTPSettings(write_timeout=0.5 if end == "stall" else 60)}
    inward, outward = tls_contexts() if tls else (None, None)
    if tls:
        options["ssl_options"] = inward
    async with serve(make(tmp_path), **options) as served, served.client(receive=4096, ssl=outward) as client:
        client.send(request("/file.bin", "X-Request-Id: mine"))
        await client.head()
        received = len(await client.reader.readexactly(MIB))
        if end == "close":
            client.writer.transport.abort()
        elif end == "reset":
            client.reset()
        elif end == "shrink":
            os.truncate(file, MIB)
            received += len(await client.rest())
        await until(lambda: "/file.bin" in "".join(lines_of(caplog)))
    [line] = lines_of(caplog)
    sent = int(re.search(r" 200 (\d+)B ", line)[1])
    assert received <= sent < size
    assert line.endswith({"shrink": " cut", "stall": " too-slow"}.get(end, " client-left"))
    if end == "shrink" and not tls:
        [told] = [record.getMessage() for record in caplog.records if record.name == "tornado.application"]
        assert told.startswith(f"GET /file.bin (127.0.0.1): {str(file)!r} became shorter ")


def lines_of(caplog):
    return [record.getMessage() for record in caplog.records if record.name == "waterspout.access"]


@on_loops
async def test_a_file_that_is_compressed_on_its_way_is_not_sent_as_it_is(folder, sent):
    async with serve(make(folder, compress_response=True)) as served, served.client() as client:
        _, fields, body = await ask(client, "/text.txt", "Accept-Encoding: gzip")
        assert fields["content-encoding"] == "gzip"
        assert zlib.decompress(body, 31) == TEXT
        assert sent == []
        assert (await ask(client, "/large.bin", "Accept-Encoding: gzip"))[2] == LARGE
        assert (await ask(client, "/text.txt"))[2] == TEXT
        assert sent == [len(LARGE), len(TEXT)]


@on_loops
async def test_a_range_is_not_compressed(folder, sent):
    """Its Content-Range counts the bytes of the file."""
    async with serve(make(folder, compress_response=True)) as served, served.client() as client:
        for size in (4000, SENDFILE_FLOOR):
            fields = ("Accept-Encoding: gzip", f"Range: bytes=100-{size + 99}")
            status, fields, body = await ask(client, "/text.txt", *fields)
            assert (status, body) == (206, TEXT[100 : size + 100])
            assert fields["content-range"] == f"bytes 100-{size + 99}/{len(TEXT)}"
            assert (fields["vary"], fields.get("content-encoding")) == ("Accept-Encoding", None)
        assert sent == [SENDFILE_FLOOR]


@on_loops
async def test_a_download_of_what_was_compressed_is_not_resumed(folder):
    """The file's bytes are no continuation of the compressed ones (RFC 9110 section 8.8.3)."""
    async with serve(make(folder, compress_response=True)) as served, served.client() as client:
        gzip = "Accept-Encoding: gzip"
        client.send(request("/text.txt", gzip))
        status, fields = (await client.head())[:2]
        etag = dict(fields)["etag"]
        assert (status, etag[:3]) == (200, 'W/"')
    async with serve(make(folder, compress_response=True)) as served, served.client() as client:
        client.send(request("/text.txt", gzip, f"If-None-Match: {etag}"))
        assert (await client.head())[0] == 304
        status, _, body = await ask(client, "/text.txt", "Range: bytes=9-", f"If-Range: {etag}")
        assert (status, body) == (200, TEXT)


class Tagged(RequestHandler):
    """Writes so many bytes at once; Tornado makes the ETag. HEAD is answered by `get`."""

    def get(self, size):
        self.set_header("Content-Type", "text/plain")
        self.write(b"x" * int(size))


@on_loops
@pytest.mark.parametrize("gzip", [True, False])
@pytest.mark.parametrize(
    ("path", "is_compressed"),
    [
        ("/text.txt", True),
        ("/small.txt", True),  # Tornado writes a file in pieces, however small it is
        ("/empty.txt", False),
        ("/large.bin", False),
        ("/tagged/5000", True),
        ("/tagged/5", False),
    ],
)
async def test_what_has_no_body_has_the_etag_of_what_has_one(folder, path, is_compressed, gzip):
    """RFC 9110 sections 9.3.2 and 15.4.5."""
    (folder / "small.txt").write_bytes(SMALL)
    (folder / "empty.txt").write_bytes(b"")
    rules = [(r"/tagged/(\d+)", Tagged), (r"/(.*)", StaticFileHandler, {"path": str(folder)})]
    application = Application(native=rules, compress_response=True)
    accept = ["Accept-Encoding: gzip"] if gzip else []
    async with serve(application) as served, served.client() as client:
        _, whole, _ = await ask(client, path, *accept)
        assert whole["etag"].startswith("W/") == (whole.get("content-encoding") == "gzip")
        assert whole["etag"].startswith("W/") == (is_compressed and gzip)
        client.send(request(path, *accept, method="HEAD"))
        status, fields = await client.head()
        told = ("etag", "vary", "content-type", "content-encoding", "content-length")
        assert status == 200
        assert {name: fields.get(name) for name in told} == {name: whole.get(name) for name in told}
        for method in ("GET", "HEAD"):
            client.send(request(path, *accept, f'If-None-Match: "x", {whole["etag"]}', method=method))
            status, fields = await client.head()
            assert (status, fields["etag"]) == (304, whole["etag"])
            assert fields["vary"] == whole["vary"]


@on_loops
async def test_over_tls_it_goes_through_python(folder, sent):
    inward, outward = tls_contexts()
    async with serve(make(folder), ssl_options=inward) as served, served.client(ssl=outward) as client:
        assert (await ask(client, "/large.bin"))[2] == LARGE
    assert sent == []


# --- handlers of a user's own ----------------------------------------------------------------------------


class Fallback(StaticFileHandler):
    """Serves another file for what is not there, as single-page applications want it."""

    async def get(self, path, include_body=True):
        await super().get(path if path == "small.bin" else "large.bin", include_body)


class Reversed(StaticFileHandler):
    @classmethod
    def get_content(cls, abspath, start=None, end=None):
        return b"".join(super().get_content(abspath, start, end))[::-1]


class Counting(StaticFileHandler):
    seen = 0

    def write(self, chunk):
        Counting.seen += len(chunk)
        super().write(chunk)


class Whole(StaticFileHandler):
    """Uses the content for something other than Tornado does."""

    async def get(self, path):
        self.absolute_path = os.path.join(self.root, path)
        pieces = list(self.get_content(self.absolute_path))
        self.finish(b"".join(pieces)[::-1])


class Measuring(StaticFileHandler):
    """Looks into the file while Tornado's `get` runs."""

    def get_content_size(self):
        return len(b"".join(self.get_content(self.absolute_path)))


@on_loops
@pytest.mark.parametrize(
    ("handler", "expected", "by_sendfile"),
    [
        (Fallback, LARGE, True),
        (Reversed, LARGE[::-1], False),
        (Counting, LARGE, False),
        (Whole, LARGE[::-1], False),
        (Measuring, LARGE, False),
    ],
)
async def test_what_a_subclass_overrides_is_respected(folder, sent, handler, expected, by_sendfile):
    async with serve(make(folder, handler)) as served, served.client() as client:
        status, _, body = await ask(client, "/large.bin")
        assert (status, body == expected) == (200, True)
        assert bool(sent) == by_sendfile
    if handler is Counting:
        assert Counting.seen >= len(LARGE)


@on_loops
async def test_versions_and_state_are_the_class_s_own(folder):
    class Versions(StaticFileHandler):
        def set_extra_headers(self, path):
            self.set_header("X-Version", type(self).get_version({"static_path": self.root}, path))
            self.set_header("X-Class", str(self.__class__ is Versions))
            self.reset()

    async with serve(make(folder, Versions)) as served, served.client() as client:
        _, fields, _ = await ask(client, "/large.bin")
        assert fields["x-class"] == "True"
        assert fields["etag"] == f'"{fields["x-version"]}"'
    assert Versions._static_hashes == {}
    assert "_static_hashes" not in vars(SendingFileHandler)


@on_loops
async def test_a_plain_handler_may_be_served_too(folder):
    async with serve(Application(native=[(r"/", RequestHandler)])) as served, served.client() as client:
        assert (await ask(client, "/"))[0] == 405


def test_on_another_server_nothing_is_sent(folder):
    """`send_content` is asked only if the connection says that it can; opening a pipe never blocks."""

    class Handler:
        def get_content_size(self):
            return MIB

    assert send_content(Handler(), str(folder / "pipe"), None, None) is None
    assert send_content(Handler(), str(folder / "missing"), None, None) is None


@on_loops
async def test_on_tornado_s_own_server_it_goes_through_python(folder, sent):
    application = make(folder)
    server = HTTPServer(application)
    sockets = bind_sockets(0, "127.0.0.1")
    server.add_sockets(sockets)
    client = Client(*await asyncio.open_connection(*sockets[0].getsockname()))
    assert (await ask(client, "/large.bin"))[2] == LARGE
    assert sent == []
    client.writer.close()
    server.stop()
    await server.close_all_connections()
    await application.stop()
