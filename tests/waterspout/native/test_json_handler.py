import json

import pytest
import tornado.web

from waterspout.native import JSONHandler


class TeapotHandler(JSONHandler):
    def get(self) -> None:
        raise tornado.web.HTTPError(418)


class BrokenHandler(JSONHandler):
    def get(self) -> None:
        raise tornado.web.HTTPError(500, log_message="a secret")


class NothingHandler(JSONHandler):
    def get(self) -> None:
        raise tornado.web.HTTPError(204)


class MissingHandler(JSONHandler):
    def get(self) -> None:
        self.send_error(404)


class KnownHandler(JSONHandler):
    @tornado.web.authenticated
    def get(self) -> None:
        self.write({})

    post = get


class PageHandler(KnownHandler):
    def get_login_url(self) -> str:
        return "/sign-in"


class AnswerHandler(JSONHandler):
    def get(self) -> None:
        self.write({"answer": 42})


ROUTES = [
    ("/teapot", TeapotHandler),
    ("/broken", BrokenHandler),
    ("/answer", AnswerHandler),
    ("/nothing", NothingHandler),
    ("/missing", MissingHandler),
    ("/known", KnownHandler),
    ("/page", PageHandler),
]


@pytest.fixture
def app():
    return tornado.web.Application(ROUTES)


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("path", "status", "reason"),
    [("/teapot", 418, "I'm a Teapot"), ("/broken", 500, "Internal Server Error")],
)
async def test_errors_are_json(http_client, base_url, path, status, reason):
    response = await http_client.fetch(base_url + path, raise_error=False)
    assert response.code == status
    assert response.headers["Content-Type"] == "application/json; charset=UTF-8"
    assert json.loads(response.body) == {"error": reason}
    assert b"secret" not in response.body


@pytest.mark.gen_test
async def test_a_status_that_has_no_body_is_answered_without_one(http_client, base_url):
    response = await http_client.fetch(base_url + "/nothing", raise_error=False, request_timeout=5)
    assert (response.code, response.body) == (204, b"")


@pytest.mark.gen_test
async def test_in_debug_mode_an_error_has_its_traceback(app, http_client, base_url):
    app.settings["serve_traceback"] = True
    response = await http_client.fetch(base_url + "/broken", raise_error=False)
    assert b"Traceback" in response.body


@pytest.mark.gen_test
async def test_but_what_has_none_is_json_there_too(app, http_client, base_url):
    app.settings["serve_traceback"] = True
    response = await http_client.fetch(base_url + "/missing", raise_error=False)
    assert response.headers["Content-Type"] == "application/json; charset=UTF-8"
    assert json.loads(response.body) == {"error": "Not Found"}


@pytest.mark.gen_test
async def test_a_method_that_is_not_there_is_405(http_client, base_url):
    response = await http_client.fetch(base_url + "/answer", method="DELETE", raise_error=False)
    assert response.code == 405


@pytest.mark.gen_test
@pytest.mark.parametrize(("method", "status"), [("GET", 401), ("HEAD", 401), ("POST", 403)])
async def test_who_has_not_signed_in_is_sent_to_no_page(app, http_client, base_url, method, status):
    app.settings["login_url"] = "/sign-in"
    options = {"raise_error": False, "follow_redirects": False, "allow_nonstandard_methods": True}
    response = await http_client.fetch(base_url + "/known", method=method, **options)
    assert (response.code, response.headers.get("Location")) == (status, None)
    if method != "HEAD":
        assert json.loads(response.body) == {"error": {401: "Unauthorized", 403: "Forbidden"}[status]}
    response = await http_client.fetch(base_url + "/page", **options)
    assert (response.code, response.headers["Location"]) == (302, "/sign-in?next=%2Fpage")


@pytest.mark.gen_test
async def test_replies_are_neither_kept_nor_guessed_at(http_client, base_url):
    response = await http_client.fetch(base_url + "/answer")
    assert json.loads(response.body) == {"answer": 42}
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
