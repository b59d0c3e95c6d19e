"""Each path and method has one owner, and both sides read a path in the same way."""

import hashlib

import pytest

from tests.server import ON_TORNADO, new_id
from tests.wire.client import Cut

SERVE = (
    *("--native", "tests.apps.two_sides:routes", "--wsgi", "tests.apps.two_sides:app"),
    *("--wsgi-threads", "1"),
)


def allow_of(reply):
    return set(reply.header("Allow").split(", "))


def test_each_method_is_answered_by_its_owner(server):
    with server.connect() as connection:
        for method, side in (("GET", "native"), ("POST", "flask"), ("DELETE", "flask"), ("PUT", "native")):
            reply = connection.ask(method, "/items/7", body=b"x" if method == "POST" else None)
            assert (reply.status, reply.json()["side"]) == (200, side), method
        head = connection.ask("HEAD", "/items/7")
        assert (head.status, head.header("Content-Length")) == (200, str(len(server.get("/items/7").body)))
        server.canary(connection)


def test_options_names_the_methods_of_both_sides(server):
    reply = server.ask("OPTIONS", "/items/7")
    assert reply.status == 200
    assert allow_of(reply) == {"GET", "HEAD", "POST", "DELETE", "PUT", "OPTIONS"}
    reply = server.ask("OPTIONS", "/only/7")
    assert (reply.status, reply.body) == (200, b"")
    assert allow_of(reply) == {"GET", "HEAD", "PUT", "OPTIONS"}


def test_who_defines_options_itself_answers_it(server):
    reply = server.ask("OPTIONS", "/own-options/7")
    assert (reply.text, reply.header("Allow")) == ("options of 7", "POST")


def test_a_method_that_neither_side_has_is_405_with_all_that_there_are(server):
    reply = server.ask("PATCH", "/items/7")
    assert (reply.status, allow_of(reply)) == (405, {"GET", "HEAD", "POST", "DELETE", "PUT", "OPTIONS"})
    reply = server.ask("PATCH", "/only/7")
    assert (reply.status, allow_of(reply)) == (405, {"GET", "HEAD", "PUT", "OPTIONS"})
    assert server.ask("BREW", "/only/7").status == 405


def test_a_404_of_a_view_of_flask_s_own_stays_one(server):
    assert server.ask("DELETE", "/gone/7").text == "no 7 to delete"
    assert server.ask("DELETE", "/gone/7").status == 404
    assert server.ask("GET", "/gone/7").text == "no 7"
    assert server.ask("PUT", "/gone/7").json()["side"] == "native"
    assert server.ask("DELETE", "/nowhere").status == 404


def test_any_method_reaches_a_path_of_flask_s(server):
    assert server.ask("PROPFIND", "/dav/a/b").json()["name"] == "a/b"


@pytest.mark.parametrize("when", ["", "&when=prepare"])
@pytest.mark.parametrize("size", [0, 100, 1 << 20])
def test_what_a_handler_declines_reaches_flask_whole(server, size, when):
    body = (new_id().encode() * 32769)[:size]
    with server.connect() as connection:
        reply = connection.ask("POST", f"/declines?x=1{when}", body=body)
        assert reply.json()["sha256"] == hashlib.sha256(body).hexdigest()
        assert reply.header("X-Native") is None
        server.canary(connection)
    chunked = [b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:50], body[50:]) if part]
    with server.connect() as connection:
        connection.send_head("POST", f"/declines?x=1{when}", [("Transfer-Encoding", "chunked")])
        connection.send(*chunked, b"0\r\n\r\n")
        assert connection.reply().json()["length"] == size
        server.canary(connection)


def test_what_is_declined_is_said_once_in_the_log(server):
    ident = new_id()
    server.ask("POST", f"/declines?{ident}", [("X-Request-Id", ident)], b"x")
    server.canary()
    (line,) = [line for line in server.log_lines(ident) if "waterspout.access" in line]
    assert " wsgi " in line


def test_a_client_that_waits_for_continue_is_told_once(server):
    with server.connect() as connection:
        fields = [("Expect", "100-continue"), ("Content-Length", "5")]
        connection.send_head("POST", "/declines", fields)
        assert connection.head().status == 100
        connection.send(b"hello")
        assert connection.reply().json()["length"] == 5
        server.canary(connection)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_flask_says_of_a_declined_request_stands(server, method):
    assert server.ask(method, "/nobody-s").status == 404
    reply = server.ask(method, "/declines-get")
    assert (reply.status, allow_of(reply)) == (405, {"OPTIONS", "POST", "PUT"})
    assert server.ask("DELETE", "/nobody-s").status == 405


def test_what_is_declined_when_the_client_has_left_is_run_for_nobody(server):
    stays, leaves = new_id(), new_id()
    with server.connect() as connection:
        server.canary(connection)
        connection.send_request("GET", f"/declines-late?id={leaves}")
        server.wait_for_note("asked", leaves)
    assert server.get(f"/declines-late?stays=yes&id={stays}").json()["name"] == "late"
    [line] = server.log_lines(leaves)
    assert line.endswith(" client-left")
    server.canary()
    assert server.notes("ran", stays)
    assert not server.notes("ran", leaves)


def test_it_is_too_late_to_decline_once_something_is_written(server):
    with pytest.raises(Cut):  # it is an error then, and what was written is not a whole reply
        server.ask("PUT", "/declines", body=b"x")
    assert server.ask("POST", "/streams-and-declines", body=b"x").status == 500


#: For each rule that both sides have.
SPELLINGS = (
    *("a", "/a", "./a", "../a", "x/../a", "a%2fb", "a%2Fb", "%2fa", "%61", "a/", "a//", "a;x=1", "a;x=1/"),
    *("%2561", "%252f", "%ff", "%c3%a9", "%C3%A9", "%C3%a9", "a%20b", "a+b", "%2e%2e/a", "%2E%2e%2Fa", "~a"),
    *("%7Ea", "A", "a%3Fb", "a%23b", "a%3Bx", "a%5Cb", "a%zz", "100%", "%", "a%26b", "&", "=", "a:b", "%40"),
)


@pytest.mark.parametrize(
    "rule", ["/files/", "/trees/", "/words/", "/any/", "/folder/", "/fixed", "//files/", "//fixed"]
)
def test_whoever_answers_means_the_same_by_a_path(server, rule):
    """GET is native where a native rule takes the path, POST is Flask's alone: both must read it alike."""
    answered = set()
    with server.connect() as connection:
        for spelling in SPELLINGS:
            for path in (f"{rule}{spelling}", f"{rule}{spelling}/"):
                read, written = connection.ask("GET", path), connection.ask("POST", path, body=b"")
                if written.status == 308 and read.status == 200:
                    assert "//" in path, path  # for Flask it is not the path of a view
                    continue
                assert read.status == written.status, path
                if read.status != 200:
                    assert read.header("Location") == written.header("Location"), path
                    continue
                answered.add(read.json()["side"])
                assert read.json()["name"] == written.json()["name"], path
                assert written.json()["side"] == "flask"
    if "fixed" not in rule:
        assert "native" in answered


@pytest.mark.parametrize(
    "path", ["/fixed", "/%66ixed", "//fixed", "/fixe%64", "/FIXED", "/fixed/", "/./fixed"]
)
def test_a_path_that_means_a_native_one_never_gets_round_it(server, path):
    reply = server.get(path)
    assert reply.status == 404 or reply.json()["side"] == "native", path


@pytest.mark.skipif(ON_TORNADO, reason="Tornado's server refuses the form itself")
def test_a_path_in_absolute_form_is_the_same_path(server):
    assert server.get("http://elsewhere/fixed").json()["side"] == "native"
