"""The head that goes out: what the app said, and what is added to it."""

import pytest

from tests.waterspout.wsgi.transcript import Transcript
from waterspout.message.origin import SERVER
from waterspout.wsgi.worker.response import Response


def reply_to(headers, *, method="GET", status="200 OK"):
    """What goes out for one chunk with these headers."""
    sent = Transcript()
    response = Response(method, "id-1", sent.send)
    response.start_response(status, headers)
    response.write(b"x", only=True)
    response.end()
    return sent


def test_an_app_may_use_its_list_again():
    headers = [("X-Kept", "yes")]
    sent = Transcript()
    response = Response("GET", "id-1", sent.send)
    response.start_response("200 OK", headers)
    headers.append(("X-Too-Late", "yes"))
    response.write(b"x", only=True)
    assert sent.values("X-Kept") == ["yes"]
    assert sent.values("X-Too-Late") == []
    assert headers == [("X-Kept", "yes"), ("X-Too-Late", "yes")]


def test_date_server_and_request_id_are_added():
    sent = reply_to([])
    assert len(sent.values("Date")) == 1
    assert sent.values("Server") == [SERVER]
    assert sent.values("X-Request-Id") == ["id-1"]


@pytest.mark.parametrize("name", ["Date", "SERVER", "x-request-id"])
def test_what_the_app_says_itself_is_not_added(name):
    assert reply_to([(name, "its own")]).values(name) == ["its own"]


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_every_method_gets_the_same_head(method):
    sent = reply_to([("Content-Type", "text/x"), ("ETag", '"1"')], method=method)
    assert sent.head.headers[:2] == [("Content-Type", "text/x"), ("ETag", '"1"')]
