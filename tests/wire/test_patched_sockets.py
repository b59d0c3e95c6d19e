"""Libraries that replace Python's sockets, for gevent or eventlet, and leave its threads alone."""

import os

import pytest

PATCHING = "tests.apps.patching"


def ask(server):
    """What needs a lane that can look without waiting, more than once."""
    body = os.urandom(300_000)
    for _ in range(2):
        reply = server.ask("POST", "/stream", body=body)
        assert (reply.status, reply.body) == (200, body)
        server.canary()


@pytest.mark.parametrize("lanes", [1, 2])
def test_an_app_that_replaces_them_is_served(start_server, form, lanes):
    ask(start_server("--wsgi", f"{PATCHING}:app", "--wsgi-threads", str(lanes), form=form))


def test_native_code_that_replaces_them_keeps_no_app_from_being_served(start_server, form):
    server = start_server("--native", f"{PATCHING}:routes", "--wsgi", f"{PATCHING}:app", form=form)
    assert server.get("/green").text == "green"
    ask(server)
