import pytest
from sqlalchemy import text

from wsgi_app.public import public


def test_an_error_has_a_page_of_ours(client):
    response = client.get("/nowhere")
    assert response.status_code == 404
    assert response.content_type == "text/html; charset=utf-8"
    assert "<h1>Not Found</h1>" in response.text
    assert "Back to the status board" in response.text


def test_its_own_headers_stay(client):
    response = client.delete("/")
    assert response.status_code == 405
    assert response.headers["Allow"]
    assert "Content-Security-Policy" in response.headers


def test_what_a_view_says_is_escaped_and_shown(client):
    assert "There is no such incident." in client.get("/incidents/1").text
    assert "<b>" not in client.get("/<b>").text


def test_a_failing_view_tells_nothing(flask_app, client, monkeypatch):
    def fail():
        raise RuntimeError("the secret")

    monkeypatch.setitem(flask_app.view_functions, f"{public.name}.show_board", fail)
    flask_app.config["PROPAGATE_EXCEPTIONS"] = False
    response = client.get("/")
    assert response.status_code == 500
    assert "<h1>Internal Server Error</h1>" in response.text
    assert "secret" not in response.text


def test_who_is_signed_in_has_the_page_of_an_error_of_the_database_too(flask_app, operator, store):
    """The page itself looks up who that is."""
    flask_app.config["PROPAGATE_EXCEPTIONS"] = False
    store.write(lambda session: session.execute(text("ALTER TABLE operator RENAME TO elsewhere")))
    for path in ("/", "/nowhere", "/admin/"):
        response = operator.get(path)
        assert response.status_code == 500
        assert "<h1>Internal Server Error</h1>" in response.text
        assert "Back to the status board" in response.text


@pytest.mark.parametrize("host", ["", "[", "a b", "evil.example", "\x00"])
def test_no_host_makes_it_fail(client, host):
    assert client.get("/nowhere", environ_overrides={"HTTP_HOST": host}).status_code in {400, 404}
