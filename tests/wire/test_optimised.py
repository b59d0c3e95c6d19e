"""Under `python -O` asserts are gone; every check must still be there (hazards 19)."""

import pytest

from tests.server import new_id
from tests.wire import test_validator
from tests.wire.client import Cut
from tests.wire.test_framing import DOUBTFUL, assert_refused, raw_request
from tests.wire.test_replies import script


@pytest.fixture
def optimised(start_server, form):
    def start(app):
        return start_server("--wsgi", app, "--wsgi-threads", "1", form=form, python=("-O",))

    return start


def test_well_behaved_apps_are_served(optimised):
    server = optimised("tests.apps.validated:app")
    for method, target, body, status, expected in test_validator.REQUESTS:
        reply = server.ask(method, target, body=body)
        assert (reply.status, reply.body) == (status, expected), target
    server.canary()


def test_breaches_of_start_response_are_errors(optimised):
    server = optimised("tests.apps.protocol:app")
    ident = new_id()
    assert server.get(f"/twice?id={ident}").status == 500
    assert server.wait_for_note("refused", ident)["error"] == "AssertionError"
    assert server.get("/data-before-start").status == 500
    assert server.get("/written-text").status == 500
    for target in ("/twice-while-iterating", "/replaces-too-late", "/written-then-raises"):
        with pytest.raises(Cut):
            server.get(target)
    server.canary()


def test_bad_replies_are_errors(optimised):
    server = optimised("tests.apps.scripted:app")
    for status in ("abc", "20", "2000 OK", "200\r\nX: y", 200):
        assert server.get(script(status)).status == 500
    for header in [
        ("X Y", "z"),
        ("X:", "z"),
        ("X-Y", "a\r\nb"),
        ("X-Y", "a\0"),
        ("X-Y", "\u20ac"),
        ("X-Y", 7),
    ]:
        assert server.get(script(headers=[header])).status == 500
    assert server.get(script(chunks=["text"])).status == 500
    with pytest.raises(Cut):
        server.get(script(chunks=[b"first", "text"]))
    server.canary()


def test_doubtful_framing_is_refused(optimised):
    server = optimised("tests.apps.bodies:app")
    for lines, body in DOUBTFUL.values():
        ident = new_id()
        assert_refused(server, raw_request(lines, body, ident), ident)


def test_no_start_response_is_an_error(optimised):
    server = optimised("tests.apps.failing:app")
    for target in ("/returns-none", "/not-iterable", "/never-starts", "/never-starts-and-empty"):
        assert server.get(target).status == 500
    server.canary()
