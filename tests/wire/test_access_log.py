"""One line per request, for both sides, into which nobody can write control bytes."""

import re

import pytest

from tests.server import new_id, poll
from tests.wire.client import Connection, Cut

NATIVE = ("--native", "tests.apps.natives:routes")
SERVE = (*NATIVE, "--wsgi", "tests.apps.streaming:app", "--wsgi-threads", "1")
DURATION = re.compile(r"\b\d+(\.\d+)?\s?ms\b")
PRINTABLE = set(range(0x20, 0x7F)) | {0x0A}


def line_of(server, mark):
    """The one access line with this mark; a traceback may have it too."""
    access = poll(lambda: access_lines(server, mark))
    server.canary()
    [line] = access_lines(server, mark)
    assert access == [line]
    return line


def access_lines(server, mark):
    return [line for line in server.log.splitlines() if mark in line and DURATION.search(line)]


@pytest.mark.parametrize(
    ("form", "said"), [("waterspout", "400 0B bad-framing"), ("tornado", "- 0B client-left")]
)
@pytest.mark.parametrize("path", ["/native/whole", "/native/streamed", "/canary"])
def test_a_client_that_breaks_its_chunks_is_told_where_the_server_tells_why(start_server, form, said, path):
    words = ("--host", "127.0.0.1", "--port", "0", "--server", form)
    server, mark = start_server(*SERVE, listen=words), new_id()
    with server.connect() as connection:
        connection.send_head("POST", f"{path}?mark={mark}", [("Transfer-Encoding", "chunked")])
        connection.send(b"3\r\nabc\r\nzz\r\n")
        assert connection.everything().startswith(b"HTTP/1.1 400 ")
    words = line_of(server, mark).split(f"{mark} ")[1].split()
    assert " ".join([*words[:2], words[-1]]) == said


@pytest.mark.parametrize(
    ("path", "owner", "size"), [("/native/ping", "native", 4), ("/flask/context", "wsgi", 33)]
)
@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_each_side_logs_one_line_with_all_facts(server, path, owner, size, version):
    mark, request_id = new_id(), new_id()
    target = f"{path}?name=namename&mark={mark}"
    reply = server.get(target, [("X-Request-Id", request_id)], version=version)
    assert len(reply.body) == size
    line = line_of(server, mark)
    for fact in ("127.0.0.1", "GET", target, "200", request_id):
        assert fact in line
    words = re.split(r"[\s\"=]+", line)
    assert owner in words
    assert ({"native", "wsgi"} - {owner}).isdisjoint(words)
    rest = line.replace(target, "").replace(request_id, "")
    assert re.search(rf"(?<!\d){size}(?!\d)", rest)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/native/ping", 404),
        ("GET", "/native/raises", 500),
        ("GET", "/missing", 404),
        ("HEAD", "/native/ping", 200),
        ("PROPFIND", "/flask/context", 405),
    ],
)
def test_errors_and_odd_methods_are_logged_alike(server, method, path, status):
    mark = new_id()
    with server.connect() as connection:
        assert connection.ask(method, f"{path}?mark={mark}").status == status
    line = line_of(server, f"{path}?mark={mark}")
    assert f" {status}" in line
    assert method in line


@pytest.mark.parametrize("path", ["/native/ping", "/flask/context"])
def test_the_answer_to_head_has_no_bytes(server, path):
    mark = new_id()
    with server.connect() as connection:
        connection.ask("HEAD", f"{path}?mark={mark}")
    assert " 0B " in line_of(server, f"{path}?mark={mark}")


def test_a_request_whose_client_left_is_logged_once(server):
    mark = new_id()
    with server.connect() as connection:
        connection.send_request("GET", f"/ticking?id={mark}")
        connection.next_chunk(connection.head())
    server.wait_for_note("closed", mark)
    line_of(server, mark)


@pytest.mark.parametrize("path", ["/native/", "/canary/"])
def test_a_nul_in_the_path_is_refused_and_said(server, path):
    mark = new_id()
    assert server.get(f"{path}{mark}%00").status == 400
    line = line_of(server, mark)
    assert f"GET {path}{mark}%00 400 " in line
    assert line.endswith(" refused: a NUL in the path")


@pytest.mark.parametrize("path", ["/native/ping", "/flask/context"])
def test_a_nul_in_the_query_is_the_app_s_business(server, path):
    """It may hold binary values: a hash, for instance."""
    mark = new_id()
    assert server.get(f"{path}?name=%12%00%01&mark={mark}").status == 200
    assert " 200 " in line_of(server, mark)


@pytest.mark.parametrize("path", ["/native/ping", "/canary", "/native/none"])
@pytest.mark.parametrize(
    "evil",
    [
        "%0d%0aGET%20/forged",
        "%1b[31m",
        "%9b[31m",
        "\x9b[31m",
        "\x1b[31m",
        "\xe9",
        "\x7f",
        "\x85",
        "%00",
        '"quote',
        "\\x0a",
    ],
    ids=ascii,
)
def test_no_target_writes_control_bytes_into_the_log(server, path, evil):
    """Such a target may be refused; the log stays clean either way."""
    mark = new_id()
    with server.connect() as connection:
        connection.send_request("GET", f"{path}?{mark}{evil}", [("Connection", "close")])
        connection.everything()
        connection.close()
        server.canary()
    assert_clean(server)
    assert len(server.log_lines(mark, seconds=0.2)) <= 1


@pytest.mark.parametrize("field", ["User-Agent", "X-Request-Id", "Referer", "Cookie"])
def test_no_header_value_writes_control_bytes_into_the_log(server, field):
    mark = new_id()
    for evil in ("\x9b[31m", "\x1b[31m", "\xe9", "\x7f", "\tx"):
        with server.connect() as connection:
            connection.send_request("GET", "/native/ping", [(field, mark + evil), ("Connection", "close")])
            connection.everything()
    server.canary()
    assert_clean(server)


@pytest.mark.parametrize("path", ["/native/ping", "/canary"])
def test_no_header_value_is_logged(server, path):
    mark = new_id()
    fields = [
        (field, f"{mark} value") for field in ("User-Agent", "Referer", "Cookie", "Authorization", "X-Y")
    ]
    assert server.get(path, fields).status == 200
    server.canary()
    assert not server.log_lines(mark, seconds=0.2)


@pytest.mark.parametrize("path", ["/native/ping", "/canary"])
def test_no_method_writes_control_bytes_into_the_log(server, path):
    for method in ("G\x1bT", "G\x9bT", "GÉT"):
        with server.connect() as connection:
            connection.send_request(method, path, [("Connection", "close")])
            connection.everything()
    assert_clean(server)


def assert_clean(server):
    lines = [line for line in server.log_bytes.splitlines() if not set(line) <= PRINTABLE]
    assert not lines, lines[:3]


def test_the_access_log_can_be_turned_off(start_server, form):
    server = start_server(*SERVE, "--no-access-log", form=form)
    mark = new_id()
    for path in ("/native/ping", "/flask/context"):
        assert server.get(f"{path}?name=x&mark={mark}").status == 200
    with server.connect() as connection:
        connection.send_request("GET", f"/ticking?id={mark}")
        connection.next_chunk(connection.head())
    server.wait_for_note("closed", mark)
    server.canary()
    assert not server.log_lines(mark, seconds=0.3)


def test_a_cut_reply_is_logged_once(start_server, form):
    server = start_server("--wsgi", "tests.apps.failing:app", form=form)
    mark = new_id()
    with pytest.raises(Cut):
        server.get(f"/mid-stream?id={mark}")
    line_of(server, mark)


@pytest.mark.parametrize("leave", [Connection.close, Connection.reset])
@pytest.mark.parametrize("path", ["beats", "orders", "live"])
def test_a_native_stream_whose_client_left_says_so(server, path, leave):
    left, stayed = new_id(), new_id()
    with server.connect() as connection:
        connection.send_request("GET", f"/native/{path}?mark={left}")
        connection.next_chunk(connection.head())
        leave(connection)
    assert line_of(server, left).endswith(" client-left")
    server.get(f"/native/ping?mark={stayed}", [("Connection", "close")])
    assert not line_of(server, stayed).endswith("client-left")


@pytest.mark.parametrize("leave", [Connection.close, Connection.reset])
def test_a_native_reply_that_was_whole_before_its_client_left_does_not(server, leave):
    mark = new_id()
    with server.connect() as connection:
        connection.send_request("GET", f"/native/ready?mark={mark}")
        assert connection.reply().body == b"whole"
        leave(connection)
    assert not line_of(server, mark).endswith("client-left")


@pytest.mark.parametrize("path", ["whole", "streamed", "begins-streaming"])
def test_a_native_request_whose_body_never_came_whole_has_its_line(server, path):
    mark = new_id()
    with server.connect() as connection:
        connection.send_head("POST", f"/native/{path}?mark={mark}", [("Content-Length", "10")])
        connection.send(b"x")
        if path == "begins-streaming":
            connection.head()
    line = line_of(server, mark)
    assert f" {'200 5B' if path == 'begins-streaming' else '- 0B'} " in line
    assert line.endswith(" client-left")


@pytest.mark.parametrize("words", [(), ("--no-access-log",)])
def test_a_stock_application_has_tornado_s_lines_unless_they_are_switched_off(start_server, words):
    server = start_server("tests.waterspout.natives:stock", *words)
    assert [server.get(path).status for path in ("/hello?mark=1", "/missing")] == [200, 404]
    server.stop()
    lines = [line for line in server.log.splitlines() if "tornado.access" in line]
    if words:
        assert lines == []
    else:
        found, missing = lines
        assert re.search(r"INFO tornado\.access 200 GET /hello\?mark=1 \(127\.0\.0\.1\) [\d.]+ms$", found)
        assert re.search(r"WARNING tornado\.access 404 GET /missing ", missing)
