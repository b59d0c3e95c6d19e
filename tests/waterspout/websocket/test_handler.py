"""The class that is made from a handler class, and the handshake that Tornado's handler makes with it."""

import gc
import weakref

import pytest
from tornado.web import RequestHandler, stream_request_body
from tornado.websocket import WebSocketHandler, WebSocketProtocol13

import waterspout
from tests.waterspout.websocket.raw import connect, request
from tests.waterspout.websocket.serving import Echo, Witness, scenario, serve
from waterspout.native.lean import LeanClasses
from waterspout.websocket import with_protocol
from waterspout.websocket.protocol import WebSocketProtocol


class Documented(Witness):
    """It says what it is."""


def test_the_class_looks_like_the_one_it_is_made_of():
    made = with_protocol(Documented)
    assert made is not Documented
    assert issubclass(made, Documented)
    names = ("__name__", "__qualname__", "__module__", "__doc__")
    assert [getattr(made, name) for name in names] == [getattr(Documented, name) for name in names]


@scenario
async def test_a_handler_of_a_class_with_a_metaclass_can_t_tell(form):
    class Meta(type):
        pass

    class Counts(Witness, metaclass=Meta):
        count = 0

        def open(self, *args):
            super(self.__class__, self).open(*args)
            self.__class__.count += 1

    async with serve(form, Counts) as served, connect(served.port):
        await served.until("open")
        assert (type(served.handler) is Counts, served.handler.__class__ is Counts) == (False, True)
        assert Counts.count == 1


def test_an_application_of_ours_makes_none_of_a_class_that_would_notice():
    topics = {}

    class Topic(Echo):
        def __init_subclass__(cls, /, topic):
            assert topic not in topics
            topics[topic] = cls

    class News(Topic, topic="news"):
        pass

    class Counts(Echo, metaclass=type("Meta", (type,), {})):
        pass

    for cls in (News, Counts):
        assert LeanClasses()[cls] is cls
    assert topics == {"news": News}


class Noticing(Echo, metaclass=type("Meta", (type,), {})):
    opened = 0

    def open(self, path):
        super().open(path)
        type(self).opened += 1
        with pytest.raises(RuntimeError, match="not supported for Web Sockets"):
            self.finish()


@stream_request_body
class NoticingStream(Noticing):
    pass


class NoticingOwn(Noticing):
    def get_websocket_protocol(self):
        return super().get_websocket_protocol()


@scenario
@pytest.mark.parametrize("cls", [Noticing, NoticingStream, NoticingOwn])
async def test_such_a_class_speaks_through_our_protocol_all_the_same_and_is_known(form, cls):
    cls.opened = 0
    async with serve(form, cls, ours=waterspout.Application) as served, connect(served.port) as client:
        client.text("a")
        assert await client.read_text() == "a"
        handler = served.handler
        expected = WebSocketProtocol13 if cls is NoticingOwn else WebSocketProtocol
        assert (type(handler), type(handler.ws_connection)) == (cls, expected)
        assert (cls.opened, handler.application.open_sockets) == (1, 1)


def test_its_annotations_are_those_of_the_one_it_is_made_of():
    class Declares(Echo):
        topic: str

    assert (
        LeanClasses()[Declares].__annotations__ == with_protocol(Declares).__annotations__ == {"topic": str}
    )


def test_it_is_made_once():
    assert with_protocol(Documented) is with_protocol(Documented)
    assert with_protocol(with_protocol(Documented)) is with_protocol(Documented)


def test_a_subclass_has_its_own():
    class Special(Documented):
        pass

    with_protocol(Documented)
    assert issubclass(with_protocol(Special), Special)
    assert with_protocol(WebSocketHandler) is not with_protocol(Special)


def test_a_subclass_of_what_was_made_is_ours_already():
    class Special(with_protocol(Documented)):
        pass

    assert with_protocol(Special) is Special


class OwnProtocol(Echo):
    def get_websocket_protocol(self):
        return super().get_websocket_protocol()


class Mixin:
    def get_websocket_protocol(self):
        return super().get_websocket_protocol()


class WithMixin(Mixin, Echo):
    pass


class Below(OwnProtocol):
    pass


@scenario
@pytest.mark.parametrize("handler", [OwnProtocol, WithMixin, Below])
async def test_a_class_with_a_protocol_of_its_own_keeps_it(form, handler):
    async with serve(form, handler) as served, connect(served.port) as client:
        client.text("a")
        assert await client.read_text() == "a"
        assert type(served.handler.ws_connection) is WebSocketProtocol13
        assert served.handler.__class__ is handler


def test_classes_made_at_run_time_are_collected():
    def make():
        class Passing(WebSocketHandler):
            pass

        return weakref.ref(Passing), weakref.ref(with_protocol(Passing))

    references = make()
    gc.collect()
    assert [reference() for reference in references] == [None, None]


def test_class_attributes_are_inherited():
    @stream_request_body
    class Streaming(WebSocketHandler):
        SUPPORTED_METHODS = ("GET",)

    made = with_protocol(Streaming)
    assert made._stream_request_body
    assert made.SUPPORTED_METHODS == ("GET",)


# -- the handshake ---------------------------------------------------------------------------------------


@scenario
@pytest.mark.parametrize("missing", ["Host", "Sec-WebSocket-Key"])
async def test_a_header_is_missing(form, missing):
    if missing == "Host" and form.name.startswith("waterspout"):
        return  # the server says 400 itself
    async with serve(form) as served, connect(served.port, request(drop=[missing]), status=400):
        assert served.events == []


@scenario
@pytest.mark.parametrize("fields", [{"Upgrade": "h2c"}, {"Connection": "close"}])
async def test_no_upgrade(form, fields):
    async with serve(form) as served, connect(served.port, status=400, **fields):
        assert served.events == []


@scenario
@pytest.mark.parametrize("key", ["haproxy", "SGVsbG8sIHdvcmxkIQ=="])
async def test_health_checks_with_keys_that_are_none_are_let_in(form, key):
    async with serve(form) as served, connect(served.port, Sec_WebSocket_Key=key) as client:
        client.text("a")
        await served.until("a")


@scenario
async def test_a_proxy_may_speak_http_1_0(form):
    if form.name.startswith("tornado"):
        return  # its server closes after such a reply
    handshake = request().replace(b"HTTP/1.1", b"HTTP/1.0")
    async with serve(form) as served, connect(served.port, handshake) as client:
        client.text("a")
        await served.until("a")


@scenario
@pytest.mark.parametrize("version", ["8", "12", "14", "013"])
async def test_another_version(form, version):
    fields = {"Sec-WebSocket-Version": version}
    async with serve(form) as served, connect(served.port, status=426, **fields) as client:
        assert client.fields["sec-websocket-version"] == "13"


@scenario
@pytest.mark.parametrize("origin", ["http://evil.test", "null", "http://localhost.evil.test"])
async def test_another_origin(form, origin):
    class Closed(Echo):
        check_origin = WebSocketHandler.check_origin

    async with serve(form, Closed) as served:
        async with connect(served.port, status=403, Origin=origin):
            assert served.events == []
        async with connect(served.port, Origin="http://localhost"):
            await served.until("open")


@scenario
async def test_a_subprotocol_that_nobody_offered(form, caplog):
    class Wilful(Echo):
        def select_subprotocol(self, subprotocols):
            return "mine"

    async with serve(form, Wilful) as served, connect(served.port, status=500):
        assert served.events == []


@scenario
async def test_the_handler_is_asked_what_it_wants(form):
    class Own(Echo):
        max_message_size = 10
        ping_interval = 20
        ping_timeout = 10

    async with serve(form, Own) as served, connect(served.port) as client:
        client.text("x" * 11)
        assert (await client.read_close())[0] == 1009


@scenario
async def test_what_is_http_is_refused(form):
    class Confused(Witness):
        def on_message(self, message):
            for method in (self.write, self.finish, self.flush, self.set_status, self.redirect):
                with pytest.raises(RuntimeError, match="not supported for Web Sockets"):
                    method("x")
            for method in (self.set_header, self.set_cookie):
                with pytest.raises(RuntimeError, match="not supported for Web Sockets"):
                    method("x", "y")
            super().on_message(message)

    async with serve(form, Confused) as served, connect(served.port) as client:
        client.text("a")
        await served.until("a")
        assert isinstance(served.handler.ws_connection, WebSocketProtocol)


@scenario
async def test_headers_of_the_handler_go_out(form):
    class Named(Echo):
        def set_default_headers(self):
            self.set_header("X-Name", "me")

    async with serve(form, Named) as served, connect(served.port) as client:
        assert client.fields["x-name"] == "me"
        assert client.fields["upgrade"] == "websocket"
        assert "content-type" not in client.fields


def test_it_is_for_web_sockets():
    assert not issubclass(RequestHandler, WebSocketHandler)
    with pytest.raises(AttributeError):
        with_protocol(RequestHandler)
