"""What the app is told about a request (PEP 3333, hazards 12), byte for byte."""

import socket

import pytest

from tests.server import ON_TORNADO, new_id

SERVE = ("--wsgi", "tests.apps.environs:app", "--wsgi-threads", "1")


def environ_of(reply):
    assert reply.status == 200, reply.text
    return {key: value for key, (_, value) in reply.json().items()}


def types_of(reply):
    return {key: kind for key, (kind, _) in reply.json().items()}


def test_every_string_is_a_str_of_latin_1(server):
    reply = server.get("/environ?a=%C3%A9", [("X-Y", "\xe9\xff")])
    types = types_of(reply)
    for key, value in environ_of(reply).items():
        if not key.startswith(("wsgi.", "waterspout.", "(")):
            assert types[key] == "str", key
            value.encode("latin-1")
    assert environ_of(reply)["HTTP_X_Y"] == "\xe9\xff"


def test_environ_is_a_plain_dict(server):
    assert types_of(server.get("/environ"))["(environ)"] == "dict"


def test_the_keys_of_pep_3333_are_all_there(server):
    environ = environ_of(server.ask("POST", "/environ?x=1&y=%2F", [("Content-Type", "text/x")], b"1234"))
    expected = {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/environ",
        "QUERY_STRING": "x=1&y=%2F",
        "CONTENT_TYPE": "text/x",
        "CONTENT_LENGTH": "4",
        "SERVER_PORT": str(server.port),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "test.example",
        "SERVER_SOFTWARE": "waterspout",
        "wsgi.version": "(1, 0)",
        "wsgi.url_scheme": "http",
        "wsgi.run_once": "False",
        "wsgi.input_terminated": "True",
    }
    assert expected.items() <= environ.items()
    assert {
        "SERVER_NAME",
        "wsgi.input",
        "wsgi.errors",
        "wsgi.multithread",
        "wsgi.multiprocess",
    } <= environ.keys()
    assert environ["SERVER_NAME"]
    assert "HTTP_CONTENT_TYPE" not in environ
    assert "HTTP_CONTENT_LENGTH" not in environ


def test_the_flags_are_booleans(server):
    types = types_of(server.get("/environ"))
    for key in ("wsgi.run_once", "wsgi.input_terminated", "wsgi.multithread", "wsgi.multiprocess"):
        assert types[key] == "bool"
    assert (types["SERVER_PORT"], types["REMOTE_PORT"], types["wsgi.version"]) == ("str", "str", "tuple")


def test_an_empty_query_is_an_empty_string(server):
    assert environ_of(server.get("/environ"))["QUERY_STRING"] == ""
    assert environ_of(server.get("/environ?"))["QUERY_STRING"] == ""


def test_the_remote_port_is_the_client_s(server):
    with server.connect() as connection:
        assert environ_of(connection.ask("GET", "/environ"))["REMOTE_PORT"] == str(connection.port)


def test_http_1_0_without_host_has_a_server_name_and_port(server):
    environ = environ_of(server.get("/environ", version="1.0"))
    assert environ["SERVER_PROTOCOL"] == "HTTP/1.0"
    assert environ["SERVER_NAME"]
    assert environ["SERVER_PORT"] == str(server.port)
    assert "HTTP_HOST" not in environ


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/a%2Fb", "/a/b"),
        ("/a%2fb/%2F", "/a/b//"),
        ("/%2541", "/%41"),
        ("/a/%41", "/a/A"),
        ("//a//b/", "//a//b/"),
        ("/a/../b/./c", "/a/../b/./c"),
        ("/../etc", "/../etc"),
        ("/%2e%2e/a", "/../a"),
        ("/a%20b", "/a b"),
        ("/+", "/+"),
        ("/a;b=c,d", "/a;b=c,d"),
        ("/%E2%82%AC", "/\xe2\x82\xac"),
        ("/a/%FF", "/a/\xff"),
        ("/a/%zz%4", "/a/%zz%4"),
        ("/", "/"),
        ("/a%3Fb?c", "/a?b"),
        ("/a%23b", "/a#b"),
    ],
)
def test_the_path_is_decoded_once_and_kept_raw(server, target, path):
    environ = environ_of(server.get(target))
    assert environ["PATH_INFO"] == path
    assert environ["RAW_URI"] == target
    assert environ["REQUEST_URI"] == target
    assert environ["SCRIPT_NAME"] == ""


def test_an_encoded_slash_reaches_the_app_with_its_query(server):
    environ = environ_of(server.get("/a%2Fb?q=%2F%3f"))
    assert environ["QUERY_STRING"] == "q=%2F%3f"
    assert environ["RAW_URI"] == environ["REQUEST_URI"] == "/a%2Fb?q=%2F%3f"


@pytest.mark.parametrize("method", ["MKCOL", "PROPFIND", "LOCK", "REPORT", "M-SEARCH", "PURGE", "FOO"])
def test_methods_that_tornado_does_not_know_reach_the_app(server, method):
    assert server.ask(method, "/method", body=b"x").json()[:2] == [method, "x"]


@pytest.mark.parametrize("target", ["/method", "example.com:443", "[::1]:443"])
def test_connect_reaches_no_app(server, target):
    assert server.ask("CONNECT", target).status == (400 if ON_TORNADO else 405)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND"])
@pytest.mark.parametrize("size", [0, 5, 100_000])
def test_every_method_may_have_a_body(server, method, size):
    assert server.ask(method, "/method", body=b"b" * size).json()[:2] == [method, "b" * size]


def test_a_request_finds_nothing_of_an_earlier_one_in_its_context(server):
    with server.connect() as connection:
        for _ in range(5):
            assert connection.ask("GET", "/context").json() == ["nothing", "set by the call"]
    assert server.get("/context").json() == ["nothing", "set by the call"]


def test_what_the_app_writes_to_wsgi_errors_is_logged(server):
    assert server.get("/server-objects").json() == {"file_wrapper": True}
    for word in ("written", "lined", "printed"):
        assert server.log_lines(f"a line for the log: {word}")


def test_flask_reads_host_and_arguments(server):
    reply = server.get("/flask/headers?a=1&a=%C3%A9", [("Cookie", "c=d")])
    assert reply.json()["args"] == {"a": "1"}
    assert (reply.json()["cookies"], reply.json()["host"]) == ({"c": "d"}, "test.example")


def test_an_ipv6_server_tells_its_port_and_peer(start_server, form):
    if not has_ipv6():
        pytest.skip("no IPv6 on this machine")
    server = start_server(*SERVE, form=form, host="::1")
    with server.connect() as connection:
        environ = environ_of(connection.ask("GET", "/environ", [("Host", f"[::1]:{server.port}")]))
        assert environ["REMOTE_PORT"] == str(connection.port)
    assert environ["REMOTE_ADDR"] == "::1"
    assert environ["SERVER_PORT"] == str(server.port)
    assert environ["SERVER_NAME"] in ("::1", "[::1]")
    assert environ["HTTP_HOST"] == f"[::1]:{server.port}"
    assert server.get("/environ", version="1.0").status == 200


def has_ipv6():
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


def test_the_app_runs_where_the_form_says(server, form):
    """In threads: in the server's own process; in process form: in one of its children."""
    pid = server.ask("POST", "/method", body=b"").json()[2]
    assert (pid == server.pid) == (form == "threads")
    assert (pid in server.wsgi_pids()) == (form == "process")


def test_the_app_runs_once_for_each_request(server):
    ident = new_id()
    server.get(f"/environ?id={ident}")
    server.canary()
    assert len(server.notes("ran", ident)) == 1
