"""WebSockets that the WSGI app speaks itself: flask-sock, Flask-SocketIO, or a raw socket."""

import os
import signal
import socket
import ssl
import struct
import threading
import time

import pytest
from simple_websocket import Client, ConnectionClosed

from tests.server import ON_TORNADO, new_id, poll
from tests.waterspout.websocket.raw import CLOSE, TEXT, close, frame, request
from tests.wire.test_listeners import certificate

__all__ = ["certificate"]
SERVE = ("--wsgi", "tests.apps.own_sockets:app", "--wsgi-threads", "2", "--wsgi-timeout", "2")
ECHOES = ("/sock/echo", "/pinged/echo")


def dial(server, target, **options):
    return Client(f"ws://127.0.0.1:{server.port}{target}", **options)


def receive(client):
    message = client.receive(timeout=20)
    assert message is not None, "no message came"
    return message


def closed_with(client):
    with pytest.raises(ConnectionClosed) as closed:
        while True:
            receive(client)
    return closed.value.reason, closed.value.message


def access_line(server, target):
    begins = f" waterspout.access 127.0.0.1 GET {target} "
    (line,) = poll(lambda: [line for line in server.log.splitlines() if begins in line])
    return line


def open_raw(server, target):
    """A connection past the 101."""
    connection = server.connect()
    connection.send(request(target))
    assert connection.head().status == 101
    return connection


def next_frame(connection):
    first, length = connection.take(2)
    if length == 126:
        (length,) = struct.unpack("!H", connection.take(2))
    return first & 0xF, connection.take(length)


@pytest.mark.parametrize("target", ECHOES)
def test_messages_go_both_ways_whole(server, target):
    client = dial(server, target)
    for message in ("text", "é" * 500, b"\0\1" * 40_000, "x" * 400_000):
        client.send(message)
        assert receive(client) == message
    client.send("close")
    assert closed_with(client) == (4001, "as you wish")


@pytest.mark.parametrize("target", ECHOES)
def test_messages_that_come_at_once_are_all_heard(server, target):
    """A view that sends must not take what its reading thread waits for in a selector."""
    with open_raw(server, target) as connection:
        for count in (1, 2, 5, 40):
            connection.send(b"".join(frame(TEXT, f"message {number}") for number in range(count)))
            got = [next_frame(connection) for _ in range(count)]
            assert got == [(TEXT, f"message {number}".encode()) for number in range(count)]


def test_what_a_client_sends_before_the_101_is_not_lost(server):
    with server.connect() as connection:
        connection.send(request("/sock/echo"), frame(TEXT, "early"))
        assert connection.head().status == 101
        assert next_frame(connection) == (TEXT, b"early")


def test_the_last_messages_arrive_before_the_end(server):
    client = dial(server, "/sock/push")
    assert [receive(client).split()[0] for _ in range(20)] == [str(number) for number in range(20)]
    assert closed_with(client)[0] == 1000


@pytest.mark.parametrize("target", ECHOES)
def test_the_client_s_close_is_answered_and_the_connection_ends(server, target):
    ident = new_id()
    with open_raw(server, f"{target}?id={ident}") as connection:
        connection.send(close(4000, "enough"))
        assert next_frame(connection) == (CLOSE, struct.pack("!H", 4000) + b"enough")
        assert connection.ends_within(1.5)
    assert server.wait_for_note("closed", ident)["reason"] == 4000


@pytest.mark.parametrize("leave", ["close", "reset"])
def test_a_view_learns_that_its_client_has_left(server, leave):
    ident = new_id()
    connection = open_raw(server, f"/sock/echo?id={ident}")
    getattr(connection, leave)()
    server.wait_for_note("closed", ident)
    assert access_line(server, f"/sock/echo?id={ident}").endswith("client-left") == (leave == "reset")


def test_a_view_that_only_sends_ends_when_its_client_has_left(server):
    target = f"/sock/deaf?id={new_id()}"
    connection = open_raw(server, target)
    connection.reset()
    assert "client-left" in access_line(server, target)
    server.canary()
    server.canary()


@pytest.mark.parametrize("leave", ["close", "reset"])
def test_a_view_that_only_sends_by_the_bare_socket_ends_too(server, leave):
    ident = new_id()
    connection = open_raw(server, f"/raw?id={ident}&how=ticks")
    connection.send(b"unread")
    connection.take(4)
    getattr(connection, leave)()
    assert server.wait_for_note("ended", ident)["error"]


@pytest.mark.parametrize("sent", [b"x", b"x" * 65_536, b"x" * 1_000_000])
def test_one_that_has_left_some_unread_ends_too(server, sent):
    ident = new_id()
    connection = open_raw(server, f"/raw?id={ident}&how=asks-once")
    connection.send(sent)
    connection.take(4)
    server.wait_for_note("asked", ident)
    connection.reset()
    assert server.wait_for_note("ended", ident)["error"]


def test_a_lane_is_free_after_each_of_many(server):
    for number in range(30):
        client = dial(server, "/sock/echo")
        client.send(str(number))
        assert receive(client) == str(number)
        if number % 2:
            client.close()
        else:
            client.send("close")
            closed_with(client)
        server.canary()


def test_two_at_once_leave_no_lane_and_the_next_request_waits(server):
    clients = [dial(server, "/sock/echo") for _ in range(2)]
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(server.get("/canary?id=x").status))
    waiting.start()
    time.sleep(0.3)
    assert not answers
    for client in clients:
        client.close()
    waiting.join(20)
    assert answers == [200]


def test_a_view_may_refuse(server):
    with server.connect() as connection:
        connection.send(request("/sock/refuse"))
        assert connection.reply().status == 403
        server.canary(connection)  # it still speaks HTTP


def test_one_that_is_silent_is_not_timed_out(server):
    client = dial(server, "/sock/echo")
    time.sleep(3.5)  # --wsgi-timeout is 2
    client.send("still here")
    assert receive(client) == "still here"
    client.close()


def test_a_client_that_does_not_read_keeps_nobody_from_being_served(server):
    ident, before = new_id(), server.rss_total()
    with open_raw(server, f"/sock/flood?id={ident}") as connection:
        assert poll(lambda: server.count(ident) >= 16 * 1_048_576)  # what its spool takes
        server.canary()
        assert server.rss_total() - before < 64 * 1_048_576
        for _ in range(1024):
            head = connection.take(10)
            assert head == b"\x82\x7f" + struct.pack("!Q", 65_536)
            assert connection.take(65_536) == bytes(65_536)


@pytest.mark.skipif(ON_TORNADO, reason="there the option does nothing")
def test_a_client_that_does_not_read_is_cut_after_the_write_timeout(start_server):
    server = start_server("--wsgi", "tests.apps.own_sockets:app", "--write-timeout", "1")
    target = f"/sock/flood?id={new_id()}"
    open_raw(server, target)
    assert access_line(server, target).endswith("too-slow")


def test_the_access_line_comes_at_the_end(server):
    target = f"/sock/echo?id={new_id()}"
    client = dial(server, target)
    client.send("hello")
    receive(client)
    assert f"GET {target} " not in server.log
    client.close()
    assert " 101 " in access_line(server, target)


# -- the socket itself ------------------------------------------------------------------------------------


def offered(server, sent):
    ident = new_id()
    with server.connect() as connection:
        connection.send(sent.replace(b"IDENT", ident.encode()))
        connection.head()
    return server.wait_for_note("offered", ident)["is_offered"]


@pytest.mark.parametrize(
    "fields", [{"Upgrade": "WebSocket"}, {"Connection": "keep-alive, Upgrade"}, {"Connection": "upgrade"}]
)
def test_who_asks_for_a_websocket_is_offered_the_socket(server, fields):
    assert offered(server, request("/raw?id=IDENT", **fields))


@pytest.mark.parametrize(
    "sent",
    [
        request("/raw?id=IDENT", Upgrade="h2c"),
        request("/raw?id=IDENT", Connection="keep-alive"),
        request("/raw?id=IDENT", drop=("Upgrade",)),
        request("/raw?id=IDENT").replace(b"HTTP/1.1", b"HTTP/1.0"),
        request("/raw?id=IDENT", Content_Length="0").replace(b"GET", b"POST"),
        request("/raw?id=IDENT", Content_Length="2") + b"hi",
        request("/raw?id=IDENT", Transfer_Encoding="chunked") + b"2\r\nhi\r\n0\r\n\r\n",
    ],
)
def test_nobody_else_is(server, sent):
    assert not offered(server, sent)


def test_recv_takes_no_more_than_it_is_asked_for(server):
    ident = new_id()
    with open_raw(server, f"/raw?id={ident}&how=pieces") as connection:
        connection.send(b"abcdefghij")
        poll(lambda: "".join(note["data"] for note in server.notes("piece", ident)) == "abcdefghij")
        assert max(len(note["data"]) for note in server.notes("piece", ident)) <= 3
        connection.send(b"k")
        poll(lambda: server.notes("piece", ident)[-1]["data"] == "k")


def test_after_a_reply_has_begun_it_is_too_late(server):
    ident = new_id()
    with server.connect() as connection:
        connection.send(request(f"/raw?id={ident}&how=late"))
        assert connection.reply().body == b"answered"
        server.canary(connection)
    assert server.wait_for_note("refused", ident)["error"]


def test_shutdown_ends_it(server):
    ident = new_id()
    with open_raw(server, f"/raw?id={ident}&how=shutdown") as connection:
        assert connection.everything() == b""
    assert server.wait_for_note("shut", ident).items() >= {"fileno": -1, "data": ""}.items()


@pytest.mark.parametrize("how", ["", "iterates", "raises"])
def test_what_the_view_returns_goes_nowhere(server, how):
    target = f"/raw?id={new_id()}&how={how}"
    with open_raw(server, target) as connection:
        assert connection.everything() == b""
    assert " 101 0B " not in access_line(server, target)
    assert "goes on after the end of its reply" not in server.log


# -- Socket.IO --------------------------------------------------------------------------------------------


def test_flask_socketio_works_over_a_websocket(server):
    target = f"/socket.io/?EIO=4&transport=websocket&id={new_id()}"
    with open_raw(server, target) as connection:
        assert next_frame(connection)[1].startswith(b"0")  # Engine.IO: open
        connection.send(frame(TEXT, "40"))  # Socket.IO: connect
        assert next_frame(connection)[1].startswith(b"40")
        for number in range(20):
            connection.send(frame(TEXT, f'42["echo","{number}"]'))
            assert next_frame(connection) == (TEXT, f'42["echo","{number}"]'.encode())
        connection.send(close(1000))
        assert next_frame(connection)[0] == CLOSE
        assert connection.ends_within(1.5)
    request_id = access_line(server, target).split()[-1]
    assert f"request {request_id}" not in server.log  # nothing was raised


# -- the end of its process -------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_quiet_one_does_not_hold_up_the_end_of_its_process(start_server, number):
    server = start_server("--wsgi", "tests.apps.own_sockets:app", "--graceful-timeout", "60")
    (pid,) = server.wsgi_pids()
    ident = new_id()
    client = dial(server, f"/sock/echo?id={ident}")
    client.send("hello")
    assert receive(client) == "hello"
    server.signal(number)
    assert closed_with(client)[0] == 1001
    assert server.wait_for_note("closed", ident)["reason"] == 1001
    if number == signal.SIGTERM:
        assert server.wait() == 0
    else:
        poll(lambda: server.wsgi_pids() and pid not in server.wsgi_pids())
    assert "cut off" not in server.log
    assert " 101 " in access_line(server, f"/sock/echo?id={ident}")


def test_a_quiet_one_ends_at_a_stop_though_others_go_on(start_server):
    server = start_server("--wsgi", "tests.apps.own_sockets:app", "--graceful-timeout", "60")
    client = dial(server, "/sock/echo")
    ident = new_id()
    with server.connect() as connection:
        connection.send(f"GET /waits?id={ident} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        server.wait_for_note("waiting", ident)
        server.signal(signal.SIGTERM)
        assert closed_with(client)[0] == 1001
        server.open_gate(ident)
        assert connection.everything().endswith(b"done")
    assert server.wait() == 0


@pytest.mark.parametrize("target", ECHOES)
def test_what_has_come_in_part_is_not_mixed_with_the_word_of_the_end(start_server, target):
    server = start_server("--wsgi", "tests.apps.own_sockets:app", "--graceful-timeout", "60")
    with open_raw(server, target) as connection:
        connection.send(frame(TEXT, "whole") + frame(TEXT, "half")[:-1])
        assert next_frame(connection) == (TEXT, b"whole")
        server.signal(signal.SIGTERM)
        assert connection.everything() == b""
    assert server.wait() == 0


def test_what_still_comes_when_its_view_has_been_told_of_the_end_is_thrown_away(start_server):
    server = start_server("--wsgi", "tests.apps.own_sockets:app", "--graceful-timeout", "60")
    target = f"/raw?id={new_id()}&how=lingers"
    with open_raw(server, target) as connection:
        server.signal(signal.SIGTERM)
        assert connection.take(5) == b"ended"
        for _ in range(20):
            connection.send(b"x" * 100_000)
        assert connection.take(4) == b"bye."
        assert connection.everything() == b""
    assert server.wait() == 0
    assert access_line(server, target).split()[-1].count("-") == 1  # a request ID, and no last word


def test_who_takes_over_during_a_stop_is_told_too(start_server):
    server = start_server("--wsgi", "tests.apps.own_sockets:app", "--graceful-timeout", "60")
    ident = new_id()
    first = dial(server, f"/sock/work?id={ident}")
    first.send("work")
    server.wait_for_note("working", ident)
    with server.connect() as connection:
        connection.send(request("/sock/echo")[:-2])  # half a head, when the stop begins
        server.canary()
        server.signal(signal.SIGTERM)
        connection.send(b"\r\n")
        if connection.everything():
            server.open_gate(ident)
    server.open_gate(ident)
    assert server.wait() == 0


def test_when_the_graceful_timeout_is_over_it_is_cut(start_server):
    server = start_server("--wsgi", "tests.apps.own_sockets:app", "--graceful-timeout", "2")
    target = f"/sock/deaf?id={new_id()}"
    client = dial(server, target)
    receive(client)
    server.signal(signal.SIGTERM)
    assert closed_with(client)
    assert server.wait() == 0
    assert access_line(server, target).endswith("stopped")


def test_when_its_process_dies_the_client_sees_the_end(start_server):
    server = start_server("--wsgi", "tests.apps.own_sockets:app")
    target = f"/sock/echo?id={new_id()}"
    with open_raw(server, target) as connection:
        (pid,) = server.wsgi_pids()
        os.kill(pid, signal.SIGKILL)
        connection.everything()
    assert access_line(server, target).endswith("process-died")


# -- TLS --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["httptools", "tornado"])
def test_over_tls(start_server, certificate, kind):
    server = start_server("--wsgi", "tests.apps.own_sockets:app", "--server", kind, *certificate)
    context = ssl.create_default_context(cafile=certificate[1])
    client = Client(f"wss://localhost:{server.port}/sock/echo", ssl_context=context)
    for message in ("text", "x" * 400_000):
        client.send(message)
        assert receive(client) == message
    client.send("close")
    assert closed_with(client) == (4001, "as you wish")
    ident = new_id()
    plain = socket.create_connection(("127.0.0.1", server.port), timeout=20)
    with context.wrap_socket(plain, server_hostname="localhost") as connection:
        connection.sendall(request(f"/raw?id={ident}&how=ticks"))
        assert connection.recv(12) == b"HTTP/1.1 101"
        connection.sendall(b"unread" * 100_000)
    assert server.wait_for_note("ended", ident)["error"]
    client = Client(f"wss://localhost:{server.port}/sock/push", ssl_context=context)
    assert len([receive(client) for _ in range(20)]) == 20
    assert closed_with(client)[0] == 1000
