"""What is true of a request: trust, verdicts, and where everything is mounted."""

import socket
from types import SimpleNamespace

import pytest
from tornado.httputil import HTTPHeaders, RequestStartLine

from waterspout import Application, Container
from waterspout.exceptions import ConfigurationError
from waterspout.message.proxies import Proxies, find_ends, judge_once

FOR = ("X-Forwarded-For", "203.0.113.9")


class Stream:
    socket = SimpleNamespace(getsockname=lambda: ("127.0.0.1", 8888))


class Context:
    def __init__(self, **facts):
        self.__dict__.update(facts)


def connection(address=("127.0.0.1", 50000), **context):
    facts = {"address": address, "remote_ip": "127.0.0.1", "protocol": "http"} | context
    return SimpleNamespace(context=Context(**facts), stream=Stream())


def judge(proxies, *fields, target="/a", **context):
    return proxies.judge(connection(**context), target, [("Host", "here.example"), *fields])


@pytest.mark.parametrize(
    ("networks", "address", "trusted"),
    [
        ([], "127.0.0.1", False),
        (["127.0.0.1"], "127.0.0.1", True),
        (["127.0.0.1"], "127.0.0.2", False),
        (["10.0.0.0/8", " ::1 "], "10.255.0.1", True),
        (["10.0.0.0/8", " ::1 "], "::1", True),
        (["10.0.0.1/8"], "10.9.9.9", True),
        (["2001:db8::/32"], "2001:db8::7", True),
        (["0.0.0.0/1"], "::1", False),
        ("::1", "::1", True),
    ],
)
def test_a_proxy_is_trusted_by_its_address(networks, address, trusted):
    assert Proxies(networks).is_trusted(address) is trusted


@pytest.mark.parametrize("network", ["", "everybody", "10.0.0.0/33", "localhost", "1.2.3", "*"])
def test_what_is_no_network_is_refused(network):
    with pytest.raises(ConfigurationError, match="trusted proxies"):
        Proxies([network])


@pytest.mark.parametrize(
    ("peer", "trusted"),
    [
        (("127.0.0.1", 1), True),
        (("::ffff:127.0.0.1", 1, 0, 0), True),
        (("10.0.0.1", 1), False),
        ("", False),
        (None, False),
    ],
)
def test_a_peer_is_judged_by_its_connection(peer, trusted):
    verdict = judge(Proxies(["127.0.0.1"]), FOR, address=peer, remote_ip="127.0.0.1")
    assert verdict.disbelieved is not trusted


@pytest.mark.parametrize("peer", ["", None, "/run/socket"])
def test_a_peer_of_a_unix_socket_is_one(peer):
    unix = {"address": peer, "address_family": socket.AF_UNIX}
    assert judge(Proxies(["unix"]), FOR, **unix).context.remote_ip == "203.0.113.9"
    assert judge(Proxies(["127.0.0.1"]), FOR, **unix).disbelieved


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6, None])
def test_a_peer_that_left_before_it_was_accepted_is_none(family):
    """Its address is no longer known."""
    assert judge(Proxies(["unix", "0.0.0.0/1"]), FOR, address=None, address_family=family).disbelieved


def test_who_says_nothing_costs_nothing():
    assert judge(Proxies(["127.0.0.1"])) is None
    assert judge(Proxies()) is None


def test_the_connection_s_own_context_stays_as_it_is():
    before = connection()
    verdict = Proxies(["127.0.0.1"]).judge(before, "/a", [("Host", "h"), FOR, ("X-Forwarded-Proto", "https")])
    assert (before.context.remote_ip, before.context.protocol) == ("127.0.0.1", "http")
    assert (verdict.context.remote_ip, verdict.context.protocol) == ("203.0.113.9", "https")
    assert verdict.context.ends == ("https", "203.0.113.9", "", "h", "443")


SAID = {"for": "203.0.113.9", "proto": "https", "host": "evil.test", "port": "444", "prefix": "/evil"}


@pytest.mark.parametrize(
    ("headers", "client", "host", "root_path"),
    [
        ("x-forwarded", "203.0.113.9", "evil.test:444", "/evil"),
        ("x-forwarded-for", "203.0.113.9", "here.example", ""),
        (" X-Forwarded-For ,\tX-FORWARDED-PROTO", "203.0.113.9", "here.example", ""),
        (["x-forwarded-for", "x-forwarded-proto"], "203.0.113.9", "here.example", ""),
        ("x-forwarded-proto,x-forwarded-port", "127.0.0.1", "here.example:444", ""),
        ("x-forwarded-host,x-forwarded-host", "127.0.0.1", "evil.test", ""),
        ("x-forwarded-prefix", "127.0.0.1", "here.example", "/evil"),
    ],
)
def test_named_fields_alone_are_believed(headers, client, host, root_path):
    """The proxy passed on the convention's other fields as the client wrote them."""
    fields = [(f"X-Forwarded-{name.title()}", value) for name, value in SAID.items()]
    verdict = judge(Proxies(["127.0.0.1"], headers), *fields)
    scheme = "https" if headers == "x-forwarded" or "proto" in str(headers).lower() else "http"
    assert (verdict.context.remote_ip, verdict.context.protocol) == (client, scheme)
    assert (verdict.host, verdict.root_path) == (host, root_path)
    assert verdict.removed == {name.lower() for name, _value in fields}


@pytest.mark.parametrize(
    "headers",
    [
        *("", "both", "for", "x-real-ip", "x-forwarded-for,", "x-forwarded-for;x-forwarded-proto"),
        *("x-forwarded,none", "forwarded,x-forwarded-for", "x-forwarded-for,x-forwarded-user", ()),
    ],
)
def test_a_field_that_can_t_be_believed_is_refused(headers):
    with pytest.raises(ConfigurationError, match="x-forwarded-for, x-forwarded-proto, x-forwarded-host"):
        Proxies(["127.0.0.1"], headers)


def test_fields_are_believed_of_somebody():
    with pytest.raises(ConfigurationError, match="name the trusted proxies, too"):
        Proxies([], "x-forwarded-for")


def test_without_a_host_the_server_s_name_stays():
    verdict = Proxies(["127.0.0.1"]).judge(connection(), "/a", [FOR])
    assert verdict.context.ends == ("http", "203.0.113.9", "", "127.0.0.1", "8888")
    assert verdict.host is None


@pytest.mark.parametrize(
    ("target", "path", "amended"),
    [
        ("/r/a?b", "/a", "/r/a?b"),
        ("/r", "/", "/r"),
        ("/r?b", "/", "/r?b"),
        ("/r?", "/", "/r?"),
        ("/r//a", "//a", "/r//a"),
        ("http://x/r/a", "/a", "/r/a"),
    ],
)
def test_the_root_path_is_taken_off(target, path, amended):
    verdict = judge(Proxies(root_path="/r"), target=target)
    assert (verdict.path, verdict.target, verdict.root_path) == (path, amended, "/r")
    assert not verdict.disbelieved  # it has claimed nothing


@pytest.mark.parametrize("target", ["/", "/a", "/rr", "//r", "/R/a", "http://x", "/?/r/"])
def test_what_is_outside_is_said_to_be(target):
    assert judge(Proxies(root_path="/r"), target=target).outside


def test_options_of_the_server_as_a_whole_are_inside():
    assert not judge(Proxies(root_path="/r"), target="*").outside


def test_headers_of_tornado_s_are_amended():
    headers = HTTPHeaders({"Host": "in.example", "X-Kept": "yes"})
    for line in ("203.0.113.9", "127.0.0.1"):
        headers.add("X-Forwarded-For", line)
    headers["X-Forwarded-Host"] = "out.example"
    asked = connection()
    line = RequestStartLine("GET", "/r/a", "HTTP/1.1")
    proxies = Proxies(["127.0.0.1"], root_path="/r")
    verdict = judge_once(proxies, asked, line, headers)
    assert sorted(headers.get_all()) == [("Host", "out.example"), ("X-Kept", "yes")]
    assert (asked.context.remote_ip, verdict.target, verdict.path) == ("203.0.113.9", "/r/a", "/a")
    assert judge_once(proxies, asked, line, headers) is asked.verdict is verdict


def test_an_application_and_its_container_are_told_the_same():
    settings = {"trusted_proxies": ["10.0.0.0/8"], "proxy_headers": "forwarded", "root_path": "/r"}
    for application in (
        Application(wsgi="tests.waterspout.wsgi.apps:app", **settings),
        Application(wsgi=Container("tests.waterspout.wsgi.apps:app", **settings)),
        Application([], **settings),
    ):
        made = [application.proxies, *([application.container.proxies] if application.container else [])]
        for proxies in made:
            assert (proxies.headers, proxies.root_path) == ("forwarded", "/r")
            assert proxies.is_trusted("10.1.1.1")
        application.configure(root_path="/other")
        assert (application.proxies.root_path, application.proxies.headers) == ("/other", "forwarded")


def connection_on(sock, *, protocol="http", remote_ip="192.0.2.7", address=("192.0.2.7", 50000)):
    context = SimpleNamespace(protocol=protocol, remote_ip=remote_ip, address=address)
    return SimpleNamespace(context=context, stream=None if sock is None else SimpleNamespace(socket=sock))


@pytest.mark.parametrize(("protocol", "port"), [("http", "80"), ("https", "443")])
def test_who_came_in_by_no_port_came_by_the_scheme_s(protocol, port):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ends = find_ends(connection_on(ours, protocol=protocol, remote_ip="0.0.0.0", address=""))
    assert ends == (protocol, "0.0.0.0", "", "localhost", port)
    assert find_ends(connection_on(ours, protocol=protocol))[3:] == ("localhost", port)  # closed
    assert find_ends(connection_on(None, protocol=protocol))[3:] == ("localhost", port)


def test_who_came_in_by_a_port_came_by_that():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        ends = find_ends(connection_on(sock))
        assert ends == ("http", "192.0.2.7", "50000", "127.0.0.1", str(sock.getsockname()[1]))


def test_they_are_found_once_and_again_when_a_proxy_speaks_for_another_client():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        served = connection_on(sock)
        first = find_ends(served)
        assert find_ends(served) is first
        served.context.remote_ip, served.context.protocol = "198.51.100.1", "https"
        assert find_ends(served)[:2] == ("https", "198.51.100.1")
        served.context.remote_ip, served.context.protocol = "192.0.2.7", "http"
        assert find_ends(served) == first


# --- wrong trust is said -------------------------------------------------------------------------------


def make_telling(*arguments, **settings):
    """As the server sets them up."""
    proxies = Proxies(*arguments, **settings)
    proxies.tell_of_doubts()
    return proxies


def said(caplog):
    return [record.getMessage() for record in caplog.records if record.name == "waterspout.proxies"]


@pytest.mark.parametrize(
    ("peer", "who"),
    [
        (("127.0.0.1", 50000), "127.0.0.1"),
        (("10.0.0.5", 50000), "10.0.0.5"),
        (("::ffff:192.168.1.2", 50000, 0, 0), "::ffff:192.168.1.2"),
        (("fd00::7", 50000, 0, 0), "fd00::7"),
        (("100.64.0.3", 50000), "100.64.0.3"),
    ],
)
def test_a_proxy_close_by_that_is_not_trusted_is_said_once(caplog, peer, who):
    proxies = make_telling()
    for _ in range(3):
        assert judge(proxies, FOR, ("X-Forwarded-Proto", "https"), address=peer).disbelieved
    assert said(caplog) == [
        f"{who} sends X-Forwarded-For but is not among --trusted-proxies: removed "
        "(logged once; docs/proxies.md)"
    ]


@pytest.mark.parametrize(
    ("field", "name"),
    [
        (("FORWARDED", "for=203.0.113.9"), "Forwarded"),
        (("X-Forwarded-Proto", "https"), "X-Forwarded-Proto"),
        (("x-forwarded-\x1b[31m", "x"), ""),
        (("X-Real-IP", "203.0.113.9"), ""),
    ],
)
def test_what_is_said_of_a_proxy_names_a_field_of_the_conventions_alone(caplog, field, name):
    assert judge(make_telling(), field).disbelieved
    assert [line.split()[2] for line in said(caplog)] == ([name] if name else [])


def test_the_peer_of_a_unix_socket_is_said_to_be_untrusted(caplog):
    proxies = make_telling(["127.0.0.1"])
    assert judge(proxies, FOR, address="", address_family=socket.AF_UNIX).disbelieved
    assert said(caplog) == [
        "a peer on the UNIX socket sends X-Forwarded-For but is not among --trusted-proxies "
        "(unix): removed (logged once; docs/proxies.md)"
    ]


@pytest.mark.parametrize(
    ("headers", "field", "sent", "read"),
    [
        (None, "x-real-ip", "X-Real-IP", "X-Forwarded-For"),
        (None, "Forwarded", "Forwarded", "X-Forwarded-For"),
        ("x-forwarded-for,x-forwarded-proto", "CF-Connecting-IP", "CF-Connecting-IP", "X-Forwarded-For"),
        ("forwarded", "X-Forwarded-For", "X-Forwarded-For", "Forwarded"),
    ],
)
def test_a_trusted_proxy_whose_field_is_not_read_is_said_once(caplog, headers, field, sent, read):
    proxies = make_telling(["127.0.0.1"], headers)
    for _ in range(3):
        assert not judge(proxies, (field, "203.0.113.9"), address=("127.0.0.1", 50000)).disbelieved
    assert said(caplog) == [
        f"127.0.0.1, a trusted proxy, sends {sent}, which is not read, and no client's address in {read}: "
        "the proxy's own is taken (logged once; docs/proxies.md)"
    ]


@pytest.mark.parametrize("given", ["", "unknown"])
def test_so_is_one_that_has_no_address_in_the_field_that_is_read(caplog, given):
    fields = [("X-Forwarded-For", given), ("X-Real-IP", "203.0.113.9")]
    judge(make_telling(["127.0.0.1"]), *fields, address=("127.0.0.1", 50000))
    assert len(said(caplog)) == 1


@pytest.mark.parametrize(
    ("headers", "field", "value"),
    [
        ("forwarded", "Forwarded", "for=[2001:db8::7]"),
        ("forwarded", "Forwarded", 'for="198.51.100.1", for=203.0.113.9;host=example.com:8443'),
        ("forwarded", "Forwarded", 'for="203.0.113.9'),
        ("forwarded", "Forwarded", "for=client.example;proto=https"),
        (None, "X-Forwarded-For", "198.51.100.1, 203.0.113.9:port"),
        ("x-forwarded-for,x-forwarded-proto", "X-Forwarded-For", "client.example"),
    ],
)
def test_so_is_one_that_writes_it_wrongly(caplog, headers, field, value):
    proxies = make_telling(["127.0.0.1"], headers)
    for _ in range(3):
        judge(proxies, (field.upper(), value), ("X-Real-IP", "203.0.113.9"), address=("127.0.0.1", 50000))
    assert said(caplog) == [
        f"127.0.0.1, a trusted proxy, sends {field}, in which its client's address can't be read: "
        "the proxy's own is taken (logged once; docs/proxies.md)"
    ]


def test_so_is_one_on_a_unix_socket(caplog):
    judge(make_telling(["unix"]), ("X-Real-IP", "203.0.113.9"), address="", address_family=socket.AF_UNIX)
    assert said(caplog)[0].startswith("a peer on the UNIX socket, a trusted proxy, sends X-Real-IP, ")


@pytest.mark.parametrize("headers", [None, "x-forwarded-for,x-forwarded-proto"])
@pytest.mark.parametrize(
    ("field", "instead"),
    [
        ("X-Script-Name", "the prefix is read from X-Forwarded-Prefix, or set by --root-path"),
        ("Script_Name", "the prefix is read from X-Forwarded-Prefix, or set by --root-path"),
        ("X-Scheme", "the scheme is read from X-Forwarded-Proto"),
        ("Front-End-Https", "the scheme is read from X-Forwarded-Proto"),
    ],
)
def test_so_is_one_that_tells_the_prefix_or_the_scheme_elsewhere(caplog, headers, field, instead):
    """As an app's own documentation may have it set up, for the app to read."""
    proxies = make_telling(["127.0.0.1"], headers)
    for _ in range(3):
        judge(proxies, FOR, (field.lower(), "/radicale"), address=("127.0.0.1", 50000))
    assert said(caplog) == [
        f"127.0.0.1, a trusted proxy, sends {field}, or passes it on: removed, {instead} "
        "(logged once; docs/proxies.md)"
    ]


@pytest.mark.parametrize(
    ("settings", "fields"),
    [
        ({}, [FOR, ("X-Scheme", "https"), ("X-Forwarded-Proto", "https")]),
        ({}, [FOR, ("X-Script-Name", "/a"), ("X-Forwarded-Prefix", "/a")]),
        ({"root_path": "/a"}, [FOR, ("X-Script-Name", "/a")]),
        ({"root_path": "/a"}, [FOR, ("SCRIPT_NAME", "/a")]),
        ({"proxy_headers": "none"}, [FOR, ("X-Script-Name", "/a"), ("X-Scheme", "https")]),
    ],
)
def test_nothing_is_said_where_that_is_known_or_the_app_reads_it(caplog, settings, fields):
    judge(make_telling(["127.0.0.1"], **settings), *fields, address=("127.0.0.1", 50000))
    assert said(caplog) == []


@pytest.mark.parametrize(
    ("headers", "fields"),
    [
        (None, [FOR, ("X-Real-IP", "203.0.113.9")]),
        (None, [("X-Forwarded-For", "unknown"), ("X-Forwarded-Proto", "https")]),
        (None, [("X-Forwarded-Proto", "https")]),
        (None, [("X-Forwarded-For", "198.51.100.1, _hidden")]),
        ("forwarded", [("Forwarded", 'for="_secret";proto=https')]),
        ("forwarded", [("Forwarded", "for=Unknown")]),
        ("forwarded", [("Forwarded", "proto=https")]),
        ("x-forwarded-proto", [("X-Forwarded-For", "client.example")]),
        ("x-forwarded-proto", [FOR, ("X-Real-IP", "203.0.113.9")]),
        ("forwarded", [FOR, ("Forwarded", "for=203.0.113.9")]),
        ("none", [("X-Real-IP", "203.0.113.9")]),
    ],
)
def test_nothing_is_said_of_a_trusted_proxy_that_is_read_or_need_not_be(caplog, headers, fields):
    judge(make_telling(["127.0.0.1"], headers), *fields, address=("127.0.0.1", 50000))
    assert said(caplog) == []


def test_nothing_is_said_of_clients_from_elsewhere(caplog):
    proxies = make_telling(["10.0.0.0/8"])
    for address in ("1.1.1.1", "8.8.8.8", "2001:4860::1"):
        assert judge(proxies, FOR, address=(address, 50000)).disbelieved
    assert judge(proxies, FOR, address=None, address_family=socket.AF_INET).disbelieved
    assert not judge(proxies, FOR, address=("10.0.0.1", 50000)).disbelieved
    assert said(caplog) == []
    judge(proxies, FOR)  # a client's attempts have not used it up
    assert len(said(caplog)) == 1


def test_nothing_is_said_where_another_server_may_have_believed_it(caplog):
    assert judge(Proxies(), FOR).disbelieved
    assert said(caplog) == []


def test_nothing_is_said_when_no_field_is_to_be_believed(caplog):
    assert judge(make_telling(proxy_headers="none"), FOR).disbelieved
    assert said(caplog) == []


@pytest.mark.parametrize("network", ["0.0.0.0/0", "::/0", "10.0.0.0/0", "0.0.0.0/0.0.0.0", " * "])
def test_a_network_of_everybody_is_refused_as_the_star_is(network):
    with pytest.raises(ConfigurationError, match="would let every client say who it is; name networks"):
        Proxies(["127.0.0.1", network])


@pytest.mark.parametrize(
    ("trusted", "families", "doubt"),
    [
        (["127.0.0.1", "::1"], [socket.AF_UNIX], "name unix"),
        (["unix"], [socket.AF_INET, socket.AF_INET6], "no UNIX socket"),
        (["unix"], [socket.AF_UNIX], ""),
        (["unix", "127.0.0.1"], [socket.AF_INET], ""),
        (["unix", "127.0.0.1"], [socket.AF_UNIX], ""),
        (["127.0.0.1"], [socket.AF_UNIX, socket.AF_INET], ""),
        (["unix"], [socket.AF_UNIX, socket.AF_INET], ""),
        ([], [socket.AF_UNIX], ""),
    ],
)
def test_trust_that_can_never_match_is_doubted(trusted, families, doubt):
    found = Proxies(trusted).find_doubt(families)
    assert bool(found) == bool(doubt)
    assert doubt in found
