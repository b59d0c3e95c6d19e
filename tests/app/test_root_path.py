"""The board below a prefix: whatever it links to is below it, too, on the page and in live events."""

import json
import re
import urllib.request

import pytest

from tests.app.operating import Operator, read_password
from tests.app.serving import serve_board

ROOT = "/status"
LINK = re.compile(r'(?:href|src|action|data-stream|data-poll|data-readers)=\\?"(/[^"\\]*)')


@pytest.fixture
def board(tmp_path):
    with serve_board(tmp_path, "--root-path", ROOT) as address:
        yield address + ROOT, Operator(address + ROOT, *read_password(tmp_path))


def read(address):
    with urllib.request.urlopen(address, timeout=20) as reply:
        return reply.read().decode()


def read_event(address, name):
    """The data of the next event of the stream."""
    with urllib.request.urlopen(address, timeout=20) as stream:
        lines = (line.decode().strip() for line in stream)
        assert f"event: {name}" in lines  # reads on up to there
        return next(line for line in lines if line.startswith("data: "))


def test_a_stranger_is_sent_to_the_login_below_it(board):
    address, _ = board
    with urllib.request.urlopen(f"{address}/admin/", timeout=20) as reply:
        assert reply.url.startswith(f"{address}/login?next=")


def test_the_cookie_of_the_session_stays_below_it(board):
    _, operator = board
    assert [(cookie.name, cookie.path) for cookie in operator.cookies] == [("board", ROOT)]
    operator.post("/logout")
    assert list(operator.cookies) == []


def test_every_link_is_below_it(board):
    address, operator = board
    page = read(f"{address}/")
    operator.post(incident="3", state="monitoring", impact="", text="Below a prefix.")
    cursor = re.search(r'data-cursor="([^"]+)"', page)[1]
    texts = {
        "the board": page,
        "the desk": operator.opener.open(f"{address}/admin/", timeout=20).read().decode(),
        "an incident": read(f"{address}/incidents/3"),
        "an event": read_event(f"{address}/api/stream?since={cursor}", "changes"),
        "the feed": read(f"{address}/feed.atom").replace(address.removesuffix(ROOT), ""),
    }
    for name, text in texts.items():
        links = LINK.findall(text)
        assert links, name
        assert [link for link in links if not link.startswith(f"{ROOT}/")] == [], name
    assert all(each["url"].startswith(f"{ROOT}/") for each in json.loads(read(f"{address}/api/incidents")))
    for link in {*LINK.findall(page), f"{ROOT}/api/incidents/3"} - {f"{ROOT}/api/stream"}:
        assert read(address.removesuffix(ROOT) + link), link
