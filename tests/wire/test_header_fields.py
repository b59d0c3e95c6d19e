"""Which header fields of a request reach the app, and in what shape (hazards 6)."""

import pytest

SERVE = ("--wsgi", "tests.apps.environs:app", "--wsgi-threads", "1")
FORWARDED = {
    "X-Forwarded-For": "203.0.113.9",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Port": "444",
    "X-Forwarded-Prefix": "/evil",
    "X-Forwarded-Anything": "evil",
    "Forwarded": "for=203.0.113.9",
    "X-Real-Ip": "203.0.113.9",
    "X-Scheme": "https",
    "X-Client-IP": "203.0.113.9",
}


def key_of(name):
    return "HTTP_" + name.upper().replace("-", "_")


def environ_of(server, headers):
    reply = server.get("/environ", headers)
    assert reply.status == 200, reply.text
    return {key: value for key, (_, value) in reply.json().items()}


@pytest.mark.parametrize("name", ["X_User", "x_user", "X-Us_er", "_X", "Content_Length", "Transfer_Encoding"])
def test_a_header_with_an_underscore_is_dropped(server, name):
    environ = environ_of(server, [(name, "evil"), ("X-Kept", "yes")])
    assert "evil" not in environ.values()
    assert environ["HTTP_X_KEPT"] == "yes"


@pytest.mark.parametrize("order", [1, -1])
def test_a_header_with_an_underscore_never_joins_its_twin(server, order):
    headers = [("X-User", "good"), ("X_User", "evil")][::order]
    assert environ_of(server, headers)["HTTP_X_USER"] == "good"


def test_flask_never_reads_an_underscore_as_a_dash(server):
    assert "X-User" not in server.get("/flask/headers", [("X_User", "evil")]).json()["headers"]


@pytest.mark.parametrize("name", ["Proxy", "proxy", "PROXY"])
def test_the_proxy_header_is_dropped(server, name):
    """CGI libraries would take HTTP_PROXY for the proxy to use."""
    assert "HTTP_PROXY" not in environ_of(server, [(name, "http://evil.example")])


def test_cookie_lines_are_joined_with_semicolons(server):
    environ = environ_of(server, [("Cookie", "a=1"), ("X-Y", "z"), ("cookie", "b=2; c=3")])
    assert environ["HTTP_COOKIE"] == "a=1; b=2; c=3"
    reply = server.get("/flask/headers", [("Cookie", "a=1"), ("Cookie", "b=2")])
    assert reply.json()["cookies"] == {"a": "1", "b": "2"}


def test_lines_of_other_headers_are_joined_with_commas(server):
    environ = environ_of(server, [("X-Y", "1"), ("Accept", "a"), ("x-y", "2, 3"), ("X-Y", "")])
    assert [part.strip() for part in environ["HTTP_X_Y"].split(",")] == ["1", "2", "3", ""]
    assert environ["HTTP_ACCEPT"] == "a"


def test_an_empty_header_is_an_empty_string(server):
    assert environ_of(server, [("X-Empty", "")])["HTTP_X_EMPTY"] == ""


@pytest.mark.parametrize("name", FORWARDED)
def test_a_forwarded_header_of_an_untrusted_peer_is_removed(server, name):
    environ = environ_of(server, [(name, FORWARDED[name])])
    assert key_of(name) not in environ
    assert environ["REMOTE_ADDR"] == "127.0.0.1"
    assert environ["wsgi.url_scheme"] == "http"


def test_forwarded_headers_of_a_trusted_proxy_are_kept_when_none_is_believed(start_server, form):
    trust = ("--trusted-proxies", "127.0.0.0/8,::1/128", "--proxy-headers", "none")
    server = start_server(*SERVE, *trust, form=form)
    environ = environ_of(server, FORWARDED.items())
    assert {key_of(name): value for name, value in FORWARDED.items()}.items() <= environ.items()
    assert "HTTP_X_USER" not in environ_of(server, [("X_User", "evil"), ("X_Forwarded_For", "evil")])


def test_forwarded_headers_of_a_peer_that_is_no_trusted_proxy_are_removed(start_server, form):
    server = start_server(*SERVE, "--trusted-proxies", "10.0.0.0/8,::1", form=form)
    environ = environ_of(server, FORWARDED.items())
    assert not [name for name in FORWARDED if key_of(name) in environ]
