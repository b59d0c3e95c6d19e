"""A shared cache must give one user's reply to nobody else: errors, too, carry `Vary: Cookie`."""

from urllib.parse import quote

import pytest

SERVE = ("tests.apps.cookie_readers:app",)
SIGNED_IN = [("Cookie", "user=ada")]
HANDLERS = ("plain", "lean", "speaks", "leftalone", "tornados", "reads")


@pytest.fixture(scope="module")
def form():
    return "threads"


@pytest.mark.parametrize("handler", HANDLERS)
def test_an_error_of_a_handler_that_looks_who_asks_varies_with_cookies(server, handler):
    for status in (401, 403, 404, 500, 503):
        reply = server.get(f"/{handler}/{status}", SIGNED_IN)
        assert (reply.status, reply.all("Vary")) == (status, ["Cookie"])


@pytest.mark.parametrize("handler", [name for name in HANDLERS if name != "reads"])
def test_so_does_what_somebody_unknown_is_told(server, handler):
    sent = 401 if handler == "speaks" else 302  # one that answers in JSON sends nobody to a page
    for method, status in (("GET", sent), ("HEAD", sent), ("POST", 403)):
        if (handler, method) != ("tornados", "HEAD"):
            reply = server.ask(method, f"/{handler}/404", body=b"" if method == "POST" else None)
            assert (reply.status, reply.all("Vary")) == (status, ["Cookie"])


@pytest.mark.parametrize("handler", [name for name in HANDLERS if name != "tornados"])
def test_what_a_handler_says_itself_is_kept(server, handler):
    assert server.get(f"/{handler}/200", SIGNED_IN).all("Vary") == ["Accept, Cookie"]


@pytest.mark.parametrize(
    ("says", "said"),
    [
        ("", ["Cookie"]),
        ("Accept", ["Accept", "Cookie"]),
        ("Accept, cookie", ["Accept, cookie"]),
        ("*", ["*"]),
    ],
)
def test_what_a_view_answers_where_a_handler_declined_by_the_cookies_varies_with_them(server, says, said):
    reply = server.get(f"/vary?says={quote(says)}")
    assert (reply.text, reply.all("Vary")) == ("everybody's", said)


def test_what_is_declined_whatever_the_cookies_does_not(server):
    assert server.ask("POST", "/vary", body=b"").all("Vary") == []


def test_who_looks_at_nobody_varies_with_nothing(server):
    assert server.get("/indifferent/404", SIGNED_IN).all("Vary") == []
