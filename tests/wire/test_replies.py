"""Status, headers and length of a reply are checked before they go out (hazards 13 to 15)."""

import json
from urllib.parse import quote

import pytest

from tests.apps.scripted import Text
from tests.server import ON_TORNADO, new_id
from tests.wire.client import Cut

SERVE = ("--wsgi", "tests.apps.scripted:app", "--wsgi-threads", "1")
PLAIN = ("Content-Type", "text/plain")
SECRET = "swordfish"


def as_json(value):
    """JSON has no bytes; the app undoes this."""
    kind = "subclass" if isinstance(value, Text) else "bytes"
    return {kind: value.decode("latin-1")}


def script(status="200 OK", headers=(PLAIN,), chunks=(b"body",), written=(), listed=False, ident=""):
    """The target that makes the app reply exactly so, right or wrong."""
    facts = {"status": status, "headers": headers, "written": written, "chunks": chunks, "listed": listed}
    return f"/scripted?id={ident}&script={quote(json.dumps(facts, default=as_json))}"


def assert_generic_500(reply):
    assert reply.status == 500
    assert SECRET not in reply.text + repr(reply.headers) + reply.reason
    assert reply.header("X") is None
    assert "Traceback" not in reply.text
    assert reply.body


@pytest.mark.parametrize(
    ("status", "code", "reason"),
    [
        ("200", 200, ""),
        ("200 ", 200, ""),
        ("299 Whatever It Is", 299, "Whatever It Is"),
        ("404 Não", 404, "N?o" if ON_TORNADO else "Não"),  # Tornado would write it in UTF-8
    ],
)
def test_a_status_goes_out_as_the_app_wrote_it(server, status, code, reason):
    reply = server.get(script(status))
    assert (reply.status, reply.body) == (code, b"body")
    assert reply.reason.strip() == reason or not reason


def test_a_reason_beyond_ascii_is_no_error(server):
    """It may lose such letters, but not gain any: UTF-8 would be two for one."""
    reply = server.get(script("404 N\xe3o"))
    assert (reply.status, reply.body) == (404, b"body")
    assert reply.reason in ("N\xe3o", "N?o")


@pytest.mark.parametrize(
    "status",
    [
        f"abc {SECRET}",
        "20",
        "20 OK",
        "2000 OK",
        "",
        " 200 OK",
        "200OK",
        "+20 OK",
        "2.0 OK",
        "²00 OK",
        "\u0662\u0660\u0660 OK",
        "999999",
        f"200\r\nX: {SECRET}",
        f"200 OK\r\nX: {SECRET}",
        f"200 OK\nX: {SECRET}",
        f"200 OK\r {SECRET}",
        f"200 {SECRET}\0",
        f"200 {SECRET} \u20ac",
        200,
        None,
        b"200 OK",
        ["200 OK"],
    ],
    ids=ascii,
)
def test_a_bad_status_is_a_generic_500(server, status):
    assert_generic_500(server.get(script(status)))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X Y", SECRET),
        ("X:", SECRET),
        ("X:Y", SECRET),
        ("X ", SECRET),
        (" X", SECRET),
        ("", SECRET),
        ("X\r\nX", SECRET),
        ("X\0", SECRET),
        ("X\x7f", SECRET),
        ("Xé", SECRET),
        ("X(", SECRET),
        ("X-Y", f"{SECRET}\r\nX: {SECRET}"),
        ("X-Y", f"{SECRET}\nX: {SECRET}"),
        ("X-Y", f"{SECRET}\rX: {SECRET}"),
        ("X-Y", f"{SECRET}\r\n"),
        ("X-Y", f"\n{SECRET}"),
        ("X-Y", f"{SECRET}\r\n folded"),
        ("X-Y", f"{SECRET}\0"),
        ("X-Y", f"{SECRET} \u20ac"),
        ("X-Y", 7),
        ("X-Y", None),
        ("X-Y", SECRET.encode()),
        (b"X-Y", SECRET),
        (7, SECRET),
        (None, SECRET),
    ],
    ids=ascii,
)
def test_a_bad_header_is_a_generic_500(server, name, value):
    reply = server.get(script(headers=[PLAIN, [name, value]]))
    assert_generic_500(reply)
    assert reply.header("X-Y") is None


@pytest.mark.parametrize("status", ["200\r\nX: y", 200])
@pytest.mark.parametrize("method", ["HEAD", "POST", "OPTIONS"])
def test_a_bad_status_is_a_500_for_every_method(server, method, status):
    with server.connect() as connection:
        assert connection.ask(method, script(status), body=b"x").status == 500


def test_a_bad_reply_still_closes_the_iterable_of_the_app_that_returned_it(server):
    ident = new_id()
    server.get(script(headers=[["X-Y", 7]], ident=ident))
    server.canary()
    assert len(server.notes("ran", ident)) == 1
    assert len(server.notes("closed", ident)) <= 1


def test_header_names_go_out_in_the_case_that_the_app_wrote(server):
    headers = [
        ["x-lower", "1"],
        ["X-UPPER", "2"],
        ["x-MiXed-CASE", "3"],
        ["content-type", "text/x"],
        ["ETag", '"x"'],
    ]
    reply = server.get(script(headers=headers))
    assert {tuple(pair) for pair in headers} <= set(reply.headers)


def test_repeated_headers_stay_apart_and_in_order(server):
    headers = [["Set-Cookie", "a=1"], ["X-Y", "1"], ["Set-Cookie", "b=2; Path=/"], ["set-cookie", "c=3"]]
    reply = server.get(script(headers=headers))
    assert reply.all("Set-Cookie") == ["a=1", "b=2; Path=/", "c=3"]


def test_latin_1_header_values_go_out_byte_for_byte(server):
    reply = server.get(script(headers=[["X-Y", "caf\xe9 \xff\x80"]]))
    assert reply.header("X-Y") == "caf\xe9 \xff\x80"


@pytest.mark.parametrize(
    "name",
    [
        "Connection",
        "Keep-Alive",
        "Transfer-Encoding",
        "Upgrade",
        "TE",
        "Trailer",
        "Trailers",
        "Proxy-Authenticate",
        "Proxy-Authorization",
        "transfer-encoding",
        "CONNECTION",
    ],
)
def test_a_hop_by_hop_header_of_the_app_is_dropped(server, name):
    with server.connect() as connection:
        reply = connection.ask("GET", script(headers=[PLAIN, [name, SECRET], ["X-Kept", "yes"]]))
        assert (reply.status, reply.body, reply.header("X-Kept")) == (200, b"body", "yes")
        assert SECRET not in repr(reply.headers)
        server.canary(connection)


def test_dropped_hop_by_hop_headers_are_logged_once(start_server, form):
    server = start_server(*SERVE, form=form)
    for _ in range(5):
        server.get(script(headers=[("Keep-Alive", "timeout=5")]))
    server.canary()
    lines = [
        line for line in server.log.splitlines() if "keep-alive" in line.lower() and "/scripted" not in line
    ]
    assert len(lines) == 1


def test_a_chunk_may_be_a_subclass_of_bytes(server):
    assert server.get(script(chunks=[Text(b"sub"), b"class"])).body == b"subclass"


@pytest.mark.parametrize("chunk", ["text", 7, None, [1]], ids=ascii)
def test_a_first_chunk_that_is_no_bytes_is_a_500(server, chunk):
    assert_generic_500(server.get(script(headers=[("X", SECRET)], chunks=[chunk])))


@pytest.mark.parametrize("headers", [[], [("Content-Length", "9")]], ids=["chunked", "length"])
@pytest.mark.parametrize("chunk", ["text", 7, None], ids=ascii)
def test_a_later_chunk_that_is_no_bytes_cuts_the_reply(server, chunk, headers):
    with pytest.raises(Cut):
        server.get(script(headers=headers, chunks=[b"first", chunk]))
