"""Many small requests at the same moment: they share a lane, and none waits behind a slow view."""

from tests.server import new_id
from tests.wire.client import build_request

LANES = 8
SERVE = ("--wsgi", "tests.apps.working:app", "--wsgi-threads", str(LANES))


def send_together(server, targets):
    """One connection each; the requests are sent as close together as possible."""
    connections = [server.connect() for _ in targets]
    requests = [build_request("GET", target) for target in targets]
    for connection, request in zip(connections, requests, strict=True):
        connection.send(request)
    return connections


def warm_up(server):
    """Views that compute for a moment: requests that come next are put behind one."""
    for connection in send_together(server, ["/quick"] * 40):
        assert connection.reply().status == 200
        connection.close()


def test_views_that_wait_run_side_by_side(server):
    for _ in range(3):
        warm_up(server)
        idents = [new_id() for _ in range(LANES)]
        connections = send_together(server, [f"/gated?id={ident}" for ident in idents])
        for ident in idents:
            server.wait_for_note("ran", ident)
        for ident in idents:
            server.open_gate(ident)
        assert [connection.reply().text for connection in connections] == [
            f"done {ident}" for ident in idents
        ]


def test_nobody_waits_behind_a_view_that_is_slow(server):
    warm_up(server)
    ident = new_id()
    slow = f"/gated?id={ident}"
    connections = send_together(server, [*["/quick"] * 10, slow, *["/quick"] * 40])
    for connection in (*connections[:10], *connections[11:]):
        assert connection.reply().status == 200
    server.open_gate(ident)
    assert connections[10].reply().text == f"done {ident}"


def test_a_reply_is_not_kept_until_the_view_behind_it_is_through(server):
    warm_up(server)
    idents = [new_id() for _ in range(LANES - 1)]
    slow = [f"/gated?id={ident}" for ident in idents]
    connections = send_together(server, ["/quick", slow[0], "/quick", *slow[1:], "/quick"])
    for number in (0, 2, -1):
        assert connections[number].reply().status == 200
    for ident in idents:
        server.open_gate(ident)
    assert all(connection.reply().status == 200 for connection in (connections[1], *connections[3:-1]))


def test_views_may_ask_their_own_server(server):
    warm_up(server)
    connections = send_together(server, ["/asking"] * (LANES - 1))
    assert all(connection.reply().text.isdigit() for connection in connections)


def test_who_leaves_before_it_is_run_is_not_missed(server):
    """Half of them leave at once; the others are answered, each on its own connection."""
    warm_up(server)
    ident = new_id()
    leaving = send_together(server, ["/quick"] * 20)
    staying = send_together(server, [f"/quick?id={ident}"] * 20)
    for connection in leaving:
        connection.reset()
    assert all(connection.reply().status == 200 for connection in staying)
    server.canary()
