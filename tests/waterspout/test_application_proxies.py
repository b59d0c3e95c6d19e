"""Our Application behind proxies: on both servers, inside others, and with Tornado's own means for it."""

import json

import pytest
from tornado.httpclient import AsyncHTTPClient
from tornado.httpserver import HTTPServer as TornadoServer
from tornado.testing import bind_unused_port
from tornado.web import Application as TornadoApplication
from tornado.web import FallbackHandler, RequestHandler

from tests.waterspout.wsgi import apps
from waterspout import Application, Container
from waterspout.exceptions import ConfigurationError
from waterspout.http import HTTPServer

pytestmark = pytest.mark.gen_test(timeout=30)

TOLD = {
    "X-Forwarded-For": "203.0.113.9",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "out.example",
    "X-Forwarded-Prefix": "/out",
    "X-Real-Ip": "203.0.113.66",
}


class Told(RequestHandler):
    def get(self, *path):
        request = self.request
        self.write(
            {
                "REMOTE_ADDR": request.remote_ip,
                "wsgi.url_scheme": request.protocol,
                "HTTP_HOST": request.host,
                "SCRIPT_NAME": request.root_path,
                "RAW_URI": request.uri,
                "claims": sorted(set(request.headers) & set(TOLD)),
            }
        )


class Nothing(RequestHandler):
    def prepare(self):
        self.set_status(404)
        self.finish("nothing of ours")


def make_ours(**settings):
    return Application(native=[(r"/native", Told)], wsgi=apps.app, **settings)


def alone(ours):
    return ours


def in_a_stock_rule(ours):
    return TornadoApplication([(r".*", ours)])


def in_a_stock_fallback(ours):
    return TornadoApplication([(r".*", FallbackHandler, {"fallback": ours})])


def in_one_of_ours(ours):
    return Application(native=[(r".*", ours)], trusted_proxies=["127.0.0.1"])


@pytest.fixture(params=[HTTPServer, TornadoServer])
def serve(request, io_loop):
    started = []

    def start(application, **options):
        sock, port = bind_unused_port()
        server = request.param(application, **options)
        server.add_socket(sock)
        started.append(server)
        return f"http://127.0.0.1:{port}"

    yield start
    for server in started:
        server.stop()
        io_loop.run_sync(server.close_all_connections)


async def ask(url, **headers):
    response = await AsyncHTTPClient().fetch(url, headers=headers, raise_error=False)
    return json.loads(response.body) if response.code == 200 else response.code


async def ask_both(base, headers=TOLD, prefix=""):
    native = await ask(f"{base}{prefix}/native", **headers)
    app = await ask(f"{base}{prefix}/describe", **headers)
    return native, app


@pytest.mark.parametrize("nest", [alone, in_a_stock_rule, in_a_stock_fallback, in_one_of_ours])
async def test_wherever_it_is_it_knows_its_client(serve, nest):
    ours = make_ours(trusted_proxies=["127.0.0.1"])
    base = serve(nest(ours))
    native, app = await ask_both(base)
    for facts, path in ((native, "/native"), (app, "/describe")):
        assert (facts["REMOTE_ADDR"], facts["wsgi.url_scheme"]) == ("203.0.113.9", "https")
        assert (facts["HTTP_HOST"], facts["SCRIPT_NAME"]) == ("out.example", "/out")
        assert facts["RAW_URI"] == "/out" + path
    assert native["claims"] == []
    assert "HTTP_X_REAL_IP" not in app
    await ours.stop()


@pytest.mark.parametrize("nest", [alone, in_a_stock_rule, in_a_stock_fallback])
async def test_wherever_it_is_it_believes_nobody_else(serve, nest):
    ours = make_ours(root_path="/in")
    base = serve(nest(ours))
    native, app = await ask_both(base, prefix="/in")
    for facts in (native, app):
        assert (facts["REMOTE_ADDR"], facts["wsgi.url_scheme"]) == ("127.0.0.1", "http")
        assert facts["SCRIPT_NAME"] == "/in"
    assert native["claims"] == []
    assert not [name for name in app if name.startswith("HTTP_X_FORWARDED")]
    assert await ask_both(base) == (404, 404)
    await ours.stop()


@pytest.mark.parametrize("rule", ["/", "/?", "/(.*)"])
async def test_a_native_rule_answers_at_the_root_path_itself(serve, rule):
    ours = Application(native=[(rule, Told)], wsgi=apps.app, root_path="/in")
    base = serve(ours)
    for target in ("/in", "/in?a=b", "/in/"):
        facts = await ask(base + target)
        assert (facts["SCRIPT_NAME"], facts["RAW_URI"]) == ("/in", target)
    await ours.stop()


async def test_what_is_outside_is_answered_by_the_application_s_own_handler(serve):
    ours = make_ours(root_path="/in", default_handler_class=Nothing)
    response = await AsyncHTTPClient().fetch(serve(ours) + "/native", raise_error=False)
    assert (response.code, response.body) == (404, b"nothing of ours")
    await ours.stop()


@pytest.mark.parametrize("settings", [{"default_handler_class": None}, {"default_handler_args": {"a": 1}}])
async def test_what_is_outside_is_tornado_s_own_404_without_one(serve, settings):
    ours = make_ours(root_path="/in", **settings)
    response = await AsyncHTTPClient().fetch(serve(ours) + "/native", raise_error=False)
    assert (response.code, b"404: Not Found" in response.body) == (404, True)
    await ours.stop()


@pytest.mark.parametrize("trusted", [(), ("127.0.0.1",)])
async def test_xheaders_of_tornado_s_go_on(serve, trusted):
    """It believes anybody; where the application trusts the peer, the application decides."""
    ours = make_ours(trusted_proxies=trusted)
    base = serve(ours, xheaders=True)
    told = {"X-Real-Ip": "203.0.113.66", "X-Scheme": "https", "X-Forwarded-For": "203.0.113.9"}
    for _ in range(2):
        for facts in await ask_both(base, told):
            expected = ("203.0.113.9", "http") if trusted else ("203.0.113.66", "https")
            assert (facts["REMOTE_ADDR"], facts["wsgi.url_scheme"]) == expected
        for facts in await ask_both(base, {}):
            assert (facts["REMOTE_ADDR"], facts["wsgi.url_scheme"]) == ("127.0.0.1", "http")
    await ours.stop()


async def test_a_container_in_a_stock_application_decides_for_its_app(serve):
    container = Container(apps.app, trusted_proxies=["127.0.0.1"], root_path="/in")
    base = serve(TornadoApplication([(r".*", FallbackHandler, {"fallback": container})]))
    facts = await ask(base + "/in/describe", **TOLD)
    assert (facts["REMOTE_ADDR"], facts["HTTP_HOST"], facts["SCRIPT_NAME"]) == (
        "203.0.113.9",
        "out.example",
        "/out/in",
    )
    assert await ask(base + "/describe") == 404
    await container.stop()


RULES = {
    "regular expression": lambda container: [(r"/describe.*", FallbackHandler, {"fallback": container})],
    "fallback": lambda container: [(r"/describe", FallbackHandler, {"fallback": container})],
    "target": lambda container: [(r"/describe", container)],
    "nested": lambda container: [
        (r"/describe.*", [(r"/describe", FallbackHandler, {"fallback": container})])
    ],
}
RULED = pytest.mark.parametrize("rules", RULES.values(), ids=RULES)


@RULED
@pytest.mark.parametrize(
    "told", [{"root_path": "/describe"}, {"trusted_proxies": ["127.0.0.1"]}, {"proxy_headers": "none"}]
)
async def test_a_container_in_a_rule_of_ours_has_no_word_of_its_own(rules, told):
    """It would apply only to requests about which the application has nothing to say."""
    container = Container(apps.app, **told)
    with pytest.raises(ConfigurationError, match=r"'/describe(\.\*)?' leads to a Container with"):
        Application(native=rules(container))
    application = Application()
    with pytest.raises(ConfigurationError, match="of its own"):
        application.add_handlers(r".*", rules(container))


@RULED
@pytest.mark.parametrize("own", [False, True])
async def test_a_container_in_a_rule_of_ours_goes_by_the_application_s_word(serve, rules, own):
    """Even if its own settings say the same."""
    told = {"trusted_proxies": ["127.0.0.1"], "root_path": "/in"}
    container = Container(apps.app, **(told if own else {}))
    base = serve(Application(native=rules(container), **told))
    for method, body in (("GET", None), ("POST", b"body")):
        for claim in ({}, {"X-Forwarded-For": "203.0.113.9"}):
            response = await AsyncHTTPClient().fetch(
                base + "/in/describe", method=method, body=body, headers=claim, raise_error=False
            )
            facts = json.loads(response.body)
            expected = claim.get("X-Forwarded-For", "127.0.0.1")
            assert (facts["REMOTE_ADDR"], facts["SCRIPT_NAME"]) == (expected, "/in")
    await container.stop()
