"""Who the client is, behind proxies and without: the same on both sides, and no untrusted claim counts."""

import json

import pytest

from tests.server import Server
from tests.wire.test_listeners import connect_unix
from waterspout.message import forwarded

SERVE = ("--native", "tests.apps.proxied:routes", "--wsgi", "tests.apps.proxied:flask_app")
LOOPBACK = ("--trusted-proxies", "127.0.0.0/8,10.0.0.0/8,2001:db8:1::/48")
SIDES = ("/native/told", "/told")
#: What both sides report, and must report alike.
COMMON = ("address", "scheme", "host", "root_path", "link")
#: The fields of a trusted proxy that say nothing about address, scheme, host, port or path.
PASSED_ON = {"x-forwarded-user", "x-forwarded-client-cert", "x-forwarded-of-next-year"}
FAMILY = sorted({*forwarded._OTHERS, *forwarded._CONNECTION, *PASSED_ON})


def told(server, headers=(), prefix="", target="", **options):
    """What Flask reports for a request with these headers, with the native side's report as `native`; both
    must agree on COMMON and on the forwarded fields.
    """
    native, flask = (server.get(prefix + side + target, headers, **options).json() for side in SIDES)
    assert {name: native[name] for name in COMMON} == {name: flask[name] for name in COMMON}
    forwarded_ones = [
        {n: v for n, v in facts["headers"].items() if forwarded.is_claim(n)} for facts in (native, flask)
    ]
    assert forwarded_ones[0] == forwarded_ones[1]
    return flask | {"forwarded": forwarded_ones[0], "native": native}


@pytest.fixture(scope="module")
def start(form, tmp_path_factory):
    """Servers by their arguments, each shared by all tests of the module."""
    running = {}

    def get(*arguments):
        if arguments not in running:
            folder = tmp_path_factory.mktemp("server")
            running[arguments] = Server(*SERVE, *arguments, form=form, folder=folder)
        return running[arguments]

    yield get
    for server in running.values():
        server.stop()


@pytest.fixture
def plain(start):
    return start()


@pytest.fixture
def trusting(start):
    return start(*LOOPBACK)


# --- from anybody ---------------------------------------------------------------------------------------


def test_a_proxy_that_is_not_trusted_is_said_once(form, start_server):
    server = start_server(*SERVE, form=form)
    for _ in range(2):
        told(server, [("X-Forwarded-For", "203.0.113.9"), ("X-Forwarded-Proto", "https")])
    server.stop()
    (line,) = server.log_lines("--trusted-proxies", 0)
    assert line.endswith(
        "WARNING waterspout.proxies 127.0.0.1 sends X-Forwarded-For but is not among --trusted-proxies: "
        "removed (logged once; docs/proxies.md)"
    )


def test_a_trusted_one_whose_field_is_not_read_is_said_once(form, start_server):
    server = start_server(*SERVE, *LOOPBACK, form=form)
    for _ in range(2):
        assert told(server, [("X-Real-IP", "203.0.113.9")])["address"] == "127.0.0.1"
    server.stop()
    (line,) = server.log_lines("trusted proxy", 0)
    assert line.endswith(
        "WARNING waterspout.proxies 127.0.0.1, a trusted proxy, sends X-Real-IP, "
        "which is not read, and no client's address in X-Forwarded-For: the proxy's own is taken "
        "(logged once; docs/proxies.md)"
    )


def test_of_an_app_that_reads_the_fields_itself_nothing_is_said(start_server):
    server = start_server(*SERVE, "--proxy-headers", "none")
    server.get("/told", [("X-Forwarded-For", "203.0.113.9")])
    server.stop()
    assert "--trusted-proxies" not in server.log


@pytest.mark.parametrize("trust", [(), ("--trusted-proxies", "10.0.0.0/8,::1,unix")])
@pytest.mark.parametrize("name", FAMILY)
def test_no_claim_of_an_untrusted_peer_is_seen_by_either_side(start, trust, name):
    server = start(*trust)
    facts = told(server, [(name, "203.0.113.9"), (name.upper(), "https"), ("X-Kept", "yes")])
    assert facts["forwarded"] == {}
    assert (facts["address"], facts["scheme"], facts["host"]) == ("127.0.0.1", "http", "test.example")
    assert facts["root_path"] == ""
    assert facts["headers"]["x-kept"] == facts["native"]["headers"]["x-kept"] == "yes"
    assert facts["disbelieved"]


def test_who_claims_nothing_is_not_said_to(plain):
    assert not told(plain)["disbelieved"]


def test_a_request_on_a_kept_connection_is_judged_for_itself(trusting):
    with trusting.connect() as connection:
        for address in ("203.0.113.1", "203.0.113.2", None, "203.0.113.3"):
            headers = (
                [] if address is None else [("X-Forwarded-For", address), ("X-Forwarded-Proto", "https")]
            )
            for side in SIDES:
                facts = connection.ask("GET", side, headers).json()
                assert facts["address"] == (address or "127.0.0.1")
                assert facts["scheme"] == ("http" if address is None else "https")


def test_a_body_comes_with_its_request(trusting):
    told_by = [("X-Forwarded-For", "203.0.113.1")]
    for size in (0, 10, 100_000):
        reply = trusting.ask("POST", "/native/posted", told_by, body=b"x" * size)
        assert reply.json() == {"length": size, "address": "203.0.113.1"}


# --- from a trusted proxy -------------------------------------------------------------------------------


def test_a_trusted_proxy_tells_all_five(trusting):
    headers = [
        ("X-Forwarded-For", "203.0.113.9"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "status.example"),
        ("X-Forwarded-Port", "8443"),
        ("X-Forwarded-Prefix", "/board/"),
    ]
    facts = told(trusting, headers, target="?a=b")
    assert (facts["address"], facts["port"]) == ("203.0.113.9", "")
    assert (facts["scheme"], facts["host"]) == ("https", "status.example:8443")
    assert facts["server"] == ["status.example", "8443"]
    assert (facts["root_path"], facts["path"]) == ("/board", "/told")
    assert facts["url"] == "https://status.example:8443/board/told?a=b"
    assert facts["native"]["url"] == "https://status.example:8443/board/native/told?a=b"
    assert facts["link"] == "https://status.example:8443/board/told"
    assert facts["target"] == "/board/told?a=b"
    assert facts["headers"]["host"] == facts["native"]["headers"]["host"] == "status.example:8443"
    assert facts["forwarded"] == {}


def test_a_redirect_leads_back_to_the_prefix(trusting):
    headers = [("X-Forwarded-Prefix", "/board")]
    for path in ("/leave", "/native/leave"):
        assert trusting.get(path, headers).header("Location") == "/board/told"


@pytest.mark.parametrize(
    ("chain", "address"),
    [
        (["203.0.113.9"], "203.0.113.9"),
        (["6.6.6.6, 203.0.113.9"], "203.0.113.9"),
        (["6.6.6.6, 203.0.113.9, 10.0.0.1"], "203.0.113.9"),
        (["6.6.6.6", "203.0.113.9 ,10.0.0.1", "2001:db8:1::5"], "203.0.113.9"),
        (["10.0.0.2,10.0.0.1"], "10.0.0.2"),
        (["2001:db8:2::1"], "2001:db8:2::1"),
        (["[2001:db8:2::1]:4711"], "2001:db8:2::1"),
        (["203.0.113.9:4711"], "203.0.113.9"),
        (["::ffff:203.0.113.9"], "203.0.113.9"),
        (["203.0.113.9, ::ffff:10.0.0.1"], "203.0.113.9"),
        (["\t 203.0.113.9 \t"], "203.0.113.9"),
        (["6.6.6.6, unknown, 10.0.0.1"], "10.0.0.1"),
        (["6.6.6.6, _hidden"], "127.0.0.1"),
        (["6.6.6.6,"], "127.0.0.1"),
        ([""], "127.0.0.1"),
        (['"203.0.113.9"'], "127.0.0.1"),
        (["203.0.113.9 10.0.0.1"], "127.0.0.1"),
        (["203.0.113.999"], "127.0.0.1"),
        (["0203.0.113.9"], "127.0.0.1"),
        (["203.0.113.9:port"], "127.0.0.1"),
        (["[203.0.113.9]"], "127.0.0.1"),
        (["fe80::1%eth0"], "127.0.0.1"),
        (["evil.example"], "127.0.0.1"),
        (["6.6.6.6," + "10.0.0.1," * 500 + "10.0.0.1"], "10.0.0.1"),
        (["203.0.113.9," * 1000 + "x"], "127.0.0.1"),
    ],
)
def test_a_chain_is_counted_from_the_right(trusting, chain, address):
    facts = told(trusting, [("X-Forwarded-For", line) for line in chain])
    assert facts["address"] == address
    assert facts["forwarded"] == {}


@pytest.mark.parametrize(
    ("headers", "host"),
    [
        ([("X-Forwarded-Host", "a.example")], "a.example"),
        ([("X-Forwarded-Host", "evil.example, a.example")], "a.example"),
        ([("X-Forwarded-Host", "evil.example"), ("x-forwarded-host", "a.example")], "a.example"),
        ([("X-Forwarded-Host", "a.example:80")], "a.example"),
        ([("X-Forwarded-Host", "a.example:8080"), ("X-Forwarded-Port", "9")], "a.example:8080"),
        ([("X-Forwarded-Host", "[2001:db8::1]:8080")], "[2001:db8::1]:8080"),
        ([("X-Forwarded-Host", "[2001:db8::1]"), ("X-Forwarded-Port", "81")], "[2001:db8::1]:81"),
        ([("X-Forwarded-Port", "8080")], "test.example:8080"),
        ([("X-Forwarded-Port", "443")], "test.example"),
        ([("X-Forwarded-Port", "80"), ("X-Forwarded-Proto", "https")], "test.example"),
        ([("X-Forwarded-Port", "99999")], "test.example"),
        ([("X-Forwarded-Port", "80a")], "test.example"),
        ([("X-Forwarded-Host", "a.example/evil")], "test.example"),
        ([("X-Forwarded-Host", "a.example@evil")], "test.example"),
        ([("X-Forwarded-Host", "a b")], "test.example"),
        ([("X-Forwarded-Host", '"a.example"')], "test.example"),
        ([("X-Forwarded-Host", "")], "test.example"),
        ([("X-Forwarded-Host", "a.example,")], "test.example"),
        ([("X-Forwarded-Host", "a" * 5000)], "test.example"),
    ],
)
def test_a_host_is_believed_when_it_can_be_one(trusting, headers, host):
    facts = told(trusting, headers)
    assert facts["host"] == host


@pytest.mark.parametrize(
    ("value", "scheme"),
    [
        ("https", "https"),
        ("HTTPS", "https"),
        ("http, https", "https"),
        ("https, http", "http"),
        ("wss", "https"),
        ("ws", "http"),
        ("gopher", "http"),
        ("https\t", "https"),
        ("https;", "http"),
        ("", "http"),
    ],
)
def test_a_scheme_is_http_or_https(trusting, value, scheme):
    facts = told(trusting, [("X-Forwarded-Proto", value)])
    assert (facts["scheme"], facts["server"]) == (
        scheme,
        ["test.example", {"http": "80", "https": "443"}[scheme]],
    )


@pytest.mark.parametrize(
    "value",
    [
        *("/x/../y", "//evil.example", "/x//y", "board", "/x?y", "/x#y", "/x y", "/%2e%2e", "/\\evil", "/."),
        *("/\xe9", "/;x", "/x" * 1000, "https://evil.example/", "/" + "x" * 4000, '"/x"', "/<script>"),
    ],
)
def test_a_prefix_that_can_be_none_is_no_prefix(trusting, value):
    assert told(trusting, [("X-Forwarded-Prefix", value)])["root_path"] == ""


def test_a_folded_line_is_refused(trusting):
    with trusting.connect() as connection:
        connection.send(
            b"GET /told HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.9,\r\n 10.0.0.1\r\n\r\n"
        )
        assert connection.reply().status == 400


def test_fields_that_are_not_believed_are_removed_all_the_same(trusting):
    """A proxy that sets one of them forwards the others as its client wrote them."""
    headers = [(name, "203.0.113.66") for name in FAMILY if name != "x-forwarded-for"]
    facts = told(trusting, [*headers, ("X-Forwarded-For", "203.0.113.9")])
    assert (facts["address"], facts["scheme"]) == ("203.0.113.9", "http")
    assert set(facts["forwarded"]) == PASSED_ON


@pytest.mark.parametrize(
    ("fields", "address", "base"),
    [
        ("x-forwarded-for", "203.0.113.9", "http://test.example"),
        ("x-forwarded-for,x-forwarded-proto", "203.0.113.9", "https://test.example"),
        ("X-Forwarded-Proto, X-Forwarded-Host", "127.0.0.1", "https://evil.test"),
    ],
)
def test_fields_that_are_not_named_are_the_client_s_and_change_nothing(start, fields, address, base):
    """Most proxies set one or two of the five, and forward what their client wrote in the others."""
    server = start(*LOOPBACK, "--proxy-headers", fields)
    claims = [(name, "203.0.113.66") for name in FAMILY if name not in forwarded.X_FORWARDED]
    said = ("6.6.6.6, 203.0.113.9", "https", "evil.test", "444", "/evil")
    facts = told(server, [*claims, *zip(forwarded.X_FORWARDED, said, strict=True)])
    assert (facts["address"], facts["link"], facts["root_path"]) == (address, base + "/told", "")
    assert set(facts["forwarded"]) == PASSED_ON


def test_what_a_trusted_proxy_says_of_its_user_is_passed_on(trusting, plain):
    headers = [("X-Forwarded-User", "anna"), ("X-Forwarded-Email", "anna@example.org")]
    assert told(trusting, headers)["forwarded"] == {name.lower(): value for name, value in headers}
    assert told(plain, headers)["forwarded"] == {}


def test_one_without_a_host_gets_the_proxy_s(trusting):
    facts = told(trusting, [("X-Forwarded-Host", "a.example")], version="1.0")
    assert facts["link"] == "http://a.example/told"


def test_a_target_in_absolute_form_is_no_way_round(trusting):
    headers = [("X-Forwarded-Host", "a.example"), ("X-Forwarded-For", "203.0.113.9")]
    for side in SIDES:
        facts = trusting.get("http://b.example" + side, headers).json()
        assert (facts["host"], facts["path"], facts["address"]) == ("a.example", side, "203.0.113.9")
        facts = trusting.get("http://b.example" + side, headers[1:]).json()
        assert (facts["host"], facts["path"], facts["address"]) == ("b.example", side, "203.0.113.9")


def test_the_log_names_the_client_and_what_it_asked_for(trusting):
    told(trusting, [("X-Forwarded-For", "198.51.100.77"), ("X-Forwarded-Prefix", "/logged")])
    for side in SIDES:
        assert trusting.log_lines(f"198.51.100.77 GET /logged{side} 200 ")


def test_an_app_that_believes_a_proxy_itself_is_told_the_same(start_server, form):
    server = start_server(*SERVE[:2], "--wsgi", "tests.apps.proxied:fixed_app", *LOOPBACK, form=form)
    facts = told(
        server,
        [
            ("X-Forwarded-For", "203.0.113.9, 10.0.0.1"),
            ("X-Forwarded-Proto", "https"),
            ("X-Forwarded-Host", "a.example"),
            ("X-Forwarded-Port", "8443"),
            ("X-Forwarded-Prefix", "/board"),
        ],
    )
    assert facts["address"] == "203.0.113.9"
    assert facts["link"] == "https://a.example:8443/board/told"


# --- Forwarded ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "address", "base"),
    [
        (["for=203.0.113.9;proto=https;host=a.example"], "203.0.113.9", "https://a.example"),
        (['For="[2001:db8:2::1]:4711" ; Proto=https'], "127.0.0.1", "http://test.example"),
        (['For="[2001:db8:2::1]:4711";Proto=https'], "2001:db8:2::1", "https://test.example"),
        (['for=203.0.113.9;host="a.example:8443";proto=https'], "203.0.113.9", "https://a.example:8443"),
        (["for=6.6.6.6;host=evil, for=203.0.113.9;host=a.example"], "203.0.113.9", "http://a.example"),
        (
            ["for=6.6.6.6", "for=203.0.113.9;proto=https;host=a.example, for=10.0.0.1;host=in.example"],
            "203.0.113.9",
            "https://a.example",
        ),
        (['for="evil', "for=203.0.113.9;proto=https"], "203.0.113.9", "https://test.example"),
        (['for="evil, for=6.6.6.6', 'for="203.0.113.9:80"'], "203.0.113.9", "http://test.example"),
        (["for=unknown;proto=https;host=a.example"], "127.0.0.1", "https://a.example"),
        (["for=_hidden, for=10.0.0.1"], "10.0.0.1", "http://test.example"),
        (["proto=https"], "127.0.0.1", "https://test.example"),
        (["for=203.0.113.9;"], "203.0.113.9", "http://test.example"),
        (["for=203.0.113.9,"], "127.0.0.1", "http://test.example"),
        (["for=203.0.113.9;;proto=https"], "203.0.113.9", "https://test.example"),
        (["203.0.113.9"], "127.0.0.1", "http://test.example"),
        (['for="203.0.113.9\\"'], "127.0.0.1", "http://test.example"),
        (["for=203.0.113.9;host=a/b"], "127.0.0.1", "http://test.example"),
        (['for=203.0.113.9;host="a/b"'], "203.0.113.9", "http://test.example"),
        (['"' * 9000], "127.0.0.1", "http://test.example"),
        (['"' * 9001], "127.0.0.1", "http://test.example"),
        ([""], "127.0.0.1", "http://test.example"),
    ],
)
def test_forwarded_is_read_from_the_right(start, lines, address, base):
    server = start(*LOOPBACK, "--proxy-headers", "forwarded")
    headers = [("Forwarded", line) for line in lines] + [("X-Forwarded-For", "6.6.6.6")]
    facts = told(server, headers)
    assert (facts["address"], facts["link"]) == (address, base + "/told")
    assert facts["forwarded"] == {}


def test_none_is_believed_and_all_are_passed_on(start):
    server = start(*LOOPBACK, "--proxy-headers", "none")
    # One with an underscore (gunicorn's SCRIPT_NAME) reaches no app in any case.
    headers = {name: "203.0.113.9" for name in FAMILY if "_" not in name}
    facts = told(server, headers.items())
    assert facts["forwarded"] == headers
    assert (facts["address"], facts["link"]) == ("127.0.0.1", "http://test.example/told")


# --- mounted --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["/board", "/board/"])
def test_everything_is_mounted_under_the_root_path(start, word):
    server = start("--root-path", word)
    facts = told(server, prefix="/board", target="?a=%2F")
    assert (facts["root_path"], facts["path"], facts["native"]["path"]) == ("/board", "/told", "/native/told")
    assert facts["target"] == "/board/told?a=%2F"
    assert facts["native"]["target"] == "/board/native/told?a=%2F"
    assert facts["native"]["url"] == "http://test.example/board/native/told?a=%2F"
    assert facts["link"] == "http://test.example/board/told"
    for path in ("/leave", "/native/leave"):
        assert server.get("/board" + path).header("Location") == "/board/told"
    assert server.get("/board/").text == server.get("/board/?x").text == "home"
    assert server.get("http://test.example/board/told").json()["path"] == "/told"


def test_a_flask_app_sends_from_the_root_path_itself_to_what_is_below_it(start):
    """As behind gunicorn: else relative links on its first page would lead out of the root path."""
    server = start("--root-path", "/board")
    for target, location in (("/board", "/board/"), ("/board?a=%2F", "/board/?a=%2F")):
        reply = server.get(target)
        assert (reply.status, reply.header("Location")) == (308, "http://test.example" + location)
    assert server.get("/board", [("X-Forwarded-Prefix", "/board")]).status == 308


@pytest.mark.parametrize(
    "target",
    [
        *(
            "/",
            "/told",
            "/native/told",
            "/boar",
            "/boards/told",
            "/BOARD/told",
            "//board/told",
            "/b%6fard/told",
        ),
        *("/x/../board/told", "/./board/told", "/board%2ftold", "/board;x/told", "http://a/told"),
        "/?/board/told",
    ],
)
def test_what_is_outside_is_404_on_both_sides(start, target):
    server = start("--root-path", "/board")
    for method in ("GET", "POST", "PROPFIND"):
        with server.connect() as connection:
            reply = connection.ask(method, target, body=b"x" if method == "POST" else None)
            assert reply.status == 404
            assert connection.ask("GET", "/board/").text == "home"
    assert reply.header("X-Request-Id")


def test_the_root_path_is_taken_off_once(start):
    server = start("--root-path", "/board")
    assert server.get("/board/board/told").status == 404
    assert server.get("/board/../told").status == 404


@pytest.mark.parametrize(
    ("prefix", "path", "root_path"),
    [
        ("/board", "/board/told", "/board"),  # the proxy names the prefix, and strips nothing
        ("/board", "/told", "/board"),  # the proxy strips it
        ("/outer", "/board/told", "/outer/board"),
        ("/outer/board", "/told", "/outer/board"),
        ("/outer/board", "/board/told", "/outer/board"),
        ("//evil", "/board/told", "/board"),
    ],
)
def test_a_proxy_s_prefix_and_the_root_path_together(start, prefix, path, root_path):
    server = start(*LOOPBACK, "--root-path", "/board")
    facts = server.get(path, [("X-Forwarded-Prefix", prefix)]).json()
    assert (facts["root_path"], facts["path"]) == (root_path, "/told")
    assert server.get("/told").status == 404


def test_the_prefix_of_an_untrusted_peer_opens_nothing(start):
    server = start("--root-path", "/board")
    assert server.get("/told", [("X-Forwarded-Prefix", "/board")]).status == 404


# --- who asks from where --------------------------------------------------------------------------------


def shake_hands(server, path, headers):
    key = [("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="), ("Sec-WebSocket-Version", "13")]
    with server.connect() as connection:
        connection.send_head(
            "GET", path, [("Upgrade", "websocket"), ("Connection", "Upgrade"), *key, *headers]
        )
        return connection.head().status


def test_the_origin_check_compares_with_what_the_browser_asked(trusting, plain):
    proxied = [("X-Forwarded-Host", "status.example"), ("X-Forwarded-Proto", "https")]
    for origin, status in (("https://status.example", 101), ("https://test.example", 403)):
        headers = [("Origin", origin), *proxied]
        assert shake_hands(trusting, "/native/socket", headers) == status
        assert trusting.ask("POST", "/same", headers, body=b"").json() is (status == 101)
    # An untrusted client can't allow itself an origin.
    assert shake_hands(plain, "/native/socket", [("Origin", "https://status.example"), *proxied]) == 403
    assert not plain.ask("POST", "/same", [("Origin", "https://status.example"), *proxied], body=b"").json()


# --- where there is no address --------------------------------------------------------------------------


@pytest.mark.parametrize(("networks", "address"), [("unix", "203.0.113.9"), ("127.0.0.1,::1", "0.0.0.0")])
def test_who_comes_by_a_unix_socket_is_trusted_by_that_word(start_server, tmp_path, networks, address):
    path = tmp_path / "socket"
    start_server(*SERVE, "--trusted-proxies", networks, listen=("--unix", str(path)))
    for side in SIDES:
        with connect_unix(path) as connection:
            facts = connection.ask("GET", side, [("X-Forwarded-For", "203.0.113.9")]).json()
            assert facts["address"] == address
            assert json.dumps(facts["headers"]).count("203.0.113.9") == 0
