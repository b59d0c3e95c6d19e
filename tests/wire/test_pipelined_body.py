"""What follows a connection's last request is not served, with a body or without."""

import pytest

from tests.server import new_id
from tests.wire.client import build_request

SERVE = ("--wsgi", "tests.apps.working:app")


@pytest.mark.parametrize("listen", ["waterspout", "tornado"])
def test_a_body_behind_the_last_request_is_nobody_s(start_server, listen):
    server = start_server(*SERVE, "--server", listen)
    last, behind = new_id(), new_id()
    with server.connect() as connection:
        connection.send(
            build_request("GET", f"/quick?id={last}", [("Connection", "TE, close")]),
            build_request("POST", f"/quick?id={behind}", body=b"x" * 5000),
        )
        assert connection.reply().status == 200
        assert connection.everything() == b""
    server.canary()
    assert server.notes("ran", behind) == []
    assert "Traceback" not in server.log
