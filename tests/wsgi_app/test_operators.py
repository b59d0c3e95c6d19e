import re

from app.passwords import hash_password
from app.settings import Settings
from app.store.operators import INVITATIONS_OPEN, add_invitation, add_operator, find_operator
from tests.wsgi_app.conftest import PASSWORD, BoardClient
from wsgi_app import create_app


def find_link(page: str) -> str:
    return re.search(r'value="([^"]+/join/[^"]+)"', page)[1]


def test_an_invitation_is_shown_once_and_works(operator, client):
    response = operator.post("/admin/operators/invite")
    assert response.status_code == 201
    link = find_link(response.text)
    assert link.startswith("http://localhost/join/")
    assert "/join/" not in operator.get("/admin/operators/").text
    path = link.removeprefix("http://localhost")
    assert client.post(path, data={"name": "bert", "password": PASSWORD}).status_code == 303
    assert "bert" in operator.get("/admin/operators/").text


def test_its_link_leads_to_the_boards_public_address(settings, anna):
    public = Settings(settings.database_url, folder=settings.folder, url="https://status.example.com")
    app = create_app(public)
    app.test_client_class = BoardClient
    client = app.test_client()
    client.sign_in(base_url="https://localhost", headers={"Referer": "https://localhost/login"})
    options = {"base_url": "https://localhost", "headers": {"Referer": "https://localhost/admin/"}}
    page = client.post("/admin/operators/invite", **options).text
    assert find_link(page).startswith("https://status.example.com/join/")
    app.extensions["store"].close()


def test_there_are_only_so_many(operator, store):
    for _ in range(INVITATIONS_OPEN):
        store.write(add_invitation)
    assert operator.post("/admin/operators/invite").status_code == 409


def test_another_operator_can_be_disabled(operator, store):
    bert = store.write(add_operator, "bert", hash_password(PASSWORD))
    assert operator.post(f"/admin/operators/{bert.id}/disable").status_code == 303
    assert store.read(find_operator, "bert").disabled_at
    assert "disabled" in operator.get("/admin/operators/").text


def test_but_not_oneself(operator, store, anna):
    response = operator.post(f"/admin/operators/{anna.id}/disable")
    assert response.status_code == 409
    assert "yourself" in response.text
    assert operator.post("/admin/operators/77/disable").status_code == 404
    assert operator.get("/admin/").status_code == 200
