import re
import time
from dataclasses import replace

import pytest

from app.passwords import hash_password, hasher
from app.settings import Settings
from app.store.audit import read_audit
from app.store.incidents import add_incident
from app.store.operators import (
    GUESSES_EACH_NAME,
    add_invitation,
    disable_operator,
    find_operator,
    read_operators,
    set_password,
)
from tests.wsgi_app.conftest import PASSWORD, BoardClient
from wsgi_app import create_app
from wsgi_app.sign_in import describe_wait, is_own_path


def signed_in(client) -> bool:
    return client.get("/admin/").status_code == 200


class TestSigningIn:
    def test_with_name_and_password(self, client, anna, store):
        response = client.sign_in()
        assert response.status_code == 303
        assert response.headers["Location"] == "/admin/"
        assert signed_in(client)
        assert [(line.who, line.action, line.address) for line in store.read(read_audit)][:1] == [
            ("anna", "signed in", "127.0.0.1")
        ]

    @pytest.mark.parametrize(
        ("name", "password"),
        [
            *[("anna", "wrong"), ("anna", ""), ("", PASSWORD), ("bert", PASSWORD), ("Anna", "x" * 10_000)],
            *[("anna\0", PASSWORD), ("anna' OR 1=1 --", "x"), ("\ud83c", "\ud83c")],
        ],
    )
    def test_with_anything_else_is_refused(self, client, anna, name, password):
        response = client.sign_in(name.encode("utf-8", "replace"), password.encode("utf-8", "replace"))
        assert response.status_code == 400
        assert not signed_in(client)

    def test_the_answer_does_not_tell_who_there_is(self, client, anna):
        pages = [client.sign_in(name, "wrong").text for name in ("anna", "bert")]
        assert all("Name or password is wrong." in page for page in pages)
        assert [len(page) for page in pages] == [len(pages[0])] * 2

    def test_nor_does_the_board(self, client, anna):
        """Neither its page nor the cursor in it, which all open pages wait for."""
        before = client.get("/").text
        for name in ("anna", "bert"):
            client.sign_in(name, "wrong")
            assert client.get("/").text == before

    def test_the_password_is_never_sent_back(self, client, anna):
        assert "hunter2" not in client.sign_in("anna", "hunter2").text

    def test_a_disabled_operator_is_refused_and_thrown_out(self, operator, store):
        store.write(disable_operator, "anna")
        assert not signed_in(operator)
        assert operator.sign_in().status_code == 400

    def test_another_password_ends_the_sessions(self, operator, store):
        store.write(set_password, "anna", hash_password("another one"))
        assert not signed_in(operator)

    def test_an_outdated_hash_is_replaced(self, client, store, anna, monkeypatch):
        store.write(set_password, "anna", hasher.hash(PASSWORD))
        old = store.read(find_operator, "anna").password
        assert client.sign_in().status_code == 303
        assert store.read(find_operator, "anna").password != old
        assert signed_in(client)

    def test_a_signed_in_operator_need_not_again(self, operator):
        assert operator.get("/login").headers["Location"] == "/admin/"


class TestGuesses:
    def test_a_hundred_are_refused_with_a_clear_answer(self, client, anna, store):
        token = client.token()
        replies = [
            client.post("/login", data={"name": "anna", "password": f"guess {n}", "csrf_token": token})
            for n in range(100)
        ]
        statuses = [reply.status_code for reply in replies]
        assert statuses == [400] * GUESSES_EACH_NAME + [429] * (100 - GUESSES_EACH_NAME)
        assert 0 < int(replies[-1].headers["Retry-After"]) <= 900
        assert "Too many attempts. Try again in 15 minutes." in replies[-1].text
        assert len(store.read(read_audit)) < GUESSES_EACH_NAME + 5

    def test_not_even_the_right_one_helps_then(self, client, anna):
        for _ in range(GUESSES_EACH_NAME):
            client.sign_in(password="wrong")
        assert client.sign_in().status_code == 429
        assert not signed_in(client)

    def test_another_address_of_the_same_network_does_not_help(self, client, anna):
        for n in range(40):
            client.sign_in(f"name {n}", "x", environ_overrides={"REMOTE_ADDR": f"2001:db8::{n:x}"})
        response = client.sign_in(environ_overrides={"REMOTE_ADDR": "2001:db8::ffff"})
        assert response.status_code == 429
        assert client.sign_in(environ_overrides={"REMOTE_ADDR": "2001:db8:0:1::1"}).status_code == 303

    def test_they_are_counted_by_all_processes(self, settings, client, anna):
        for _ in range(GUESSES_EACH_NAME):
            client.sign_in(password="wrong")
        other = create_app(settings)
        other.test_client_class = BoardClient
        assert other.test_client().sign_in().status_code == 429
        other.extensions["store"].close()


class TestTargets:
    def test_after_signing_in_one_is_where_one_wanted(self, client, anna):
        asked = client.get("/admin/?incident=7")
        assert asked.status_code == 302
        login = asked.headers["Location"]
        assert login.startswith("/login?next=")
        assert client.sign_in(path=login).headers["Location"] == "/admin/?incident=7"

    @pytest.mark.parametrize(
        "target",
        [
            *("//evil.example", "https://evil.example", "/\\evil.example", "\\\\evil.example", "///evil"),
            *("/%0d%0aLocation:x\r\n", "/\t/evil.example", " //evil", "evil.example", "", "/é"),
            *("javascript:x", "/\x00", "?x"),
        ],
    )
    def test_which_is_never_elsewhere(self, client, anna, target):
        response = client.post(
            "/login", query_string={"next": target}, data={"name": "anna", "password": PASSWORD}
        )
        assert response.headers["Location"] == "/admin/"

    def test_own_paths(self):
        assert is_own_path("/")
        assert is_own_path("/admin/audit/?before=3&x=%2F")
        assert not is_own_path("/a\\b")


class TestSigningOut:
    def test_by_post(self, operator, store):
        assert operator.post("/logout").headers["Location"] == "/"
        assert not signed_in(operator)
        assert store.read(read_audit)[0].action == "signed out"

    def test_a_copy_of_the_cookie_is_worth_nothing_then(self, operator):
        cookie = operator.get_cookie("board").value
        operator.post("/logout")
        operator.set_cookie("board", cookie)
        assert not signed_in(operator)

    def test_not_by_a_link(self, operator):
        assert operator.get("/logout").status_code == 405
        assert signed_in(operator)

    def test_nor_by_another_site(self, operator):
        response = operator.post("/logout", data={"csrf_token": ""})
        assert response.status_code == 400
        assert signed_in(operator)

    def test_who_is_not_signed_in_may_too(self, client):
        assert client.post("/logout").status_code == 303


class TestCookies:
    def cookie(self, client, **options) -> str:
        return client.sign_in(**options).headers["Set-Cookie"]

    @pytest.mark.parametrize("host", ["localhost:8888", "127.0.0.1:8888", "[::1]:8888"])
    def test_on_this_machine_it_may_go_without_tls(self, client, anna, host):
        cookie = self.cookie(client, base_url=f"http://{host}")
        assert "Secure" not in cookie
        assert "HttpOnly" in cookie
        assert "SameSite=Lax" in cookie

    def test_elsewhere_it_never_does(self, flask_app, anna):
        client = flask_app.test_client()
        url = "https://status.example.com"
        token = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/login", base_url=url).text)[1]
        data = {"name": "anna", "password": PASSWORD, "csrf_token": token}
        cookie = client.post("/login", data=data, base_url=url, headers={"Referer": f"{url}/login"}).headers[
            "Set-Cookie"
        ]
        assert "Secure" in cookie
        assert "HttpOnly" in cookie

    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_without_tls_nobody_signs_in_from_elsewhere(self, client, anna, method):
        response = client.open("/login", method=method, base_url="http://status.example.com")
        assert response.status_code == 403
        assert "https" in response.text
        assert "Set-Cookie" not in response.headers

    def test_a_proxy_that_does_the_tls_is_believed_when_it_was_told(self, settings, anna):
        app = create_app(
            Settings(settings.database_url, folder=settings.folder, url="https://status.example.com")
        )
        response = app.test_client().get("/login", base_url="http://status.example.com")
        assert response.status_code == 200
        assert "Secure" in response.headers["Set-Cookie"]
        app.extensions["store"].close()

    @pytest.mark.parametrize(
        ("board", "page", "upgrades"),
        [
            ("https://status.example.com", "http://status.example.com", True),
            ("https://status.example.com", "https://status.example.com", False),
            ("https://status.example.com", "http://localhost:8888", False),
            ("http://status.example.com", "http://status.example.com", False),
        ],
    )
    def test_the_form_goes_by_tls_where_the_page_may_have_come_without(self, settings, board, page, upgrades):
        app = create_app(replace(settings, url=board))
        policy = app.test_client().get("/login", base_url=page).headers["Content-Security-Policy"]
        assert ("; upgrade-insecure-requests" in policy) is upgrades
        assert "default-src 'none'" in policy
        policy = app.test_client().get("/", base_url=page).headers["Content-Security-Policy"]
        assert "upgrade" not in policy  # from there a stream would be another site's
        app.extensions["store"].close()

    def test_readers_get_none(self, client, store):
        store.write(add_incident, "Slow", "identified", "We look.")
        for path in ("/", "/incidents/1", "/nowhere"):
            assert "Set-Cookie" not in client.get(path).headers

    def test_a_forged_one_is_nobodys(self, flask_app, settings, anna, operator):
        forged = create_app(Settings(settings.database_url, folder=settings.folder))
        forged.test_client_class = BoardClient
        client = forged.test_client()
        assert client.sign_in().status_code == 303
        stolen = client.get_cookie("board").value
        forged.extensions["store"].close()
        for cookie in (stolen, "x", "", operator.get_cookie("board").value[:-1] + "!", "a.b.c"):
            victim = flask_app.test_client()
            victim.set_cookie("board", cookie)
            assert not signed_in(victim)

    def test_an_older_key_still_counts(self, settings, operator):
        rotated = create_app(
            Settings(
                settings.database_url,
                folder=settings.folder,
                secret_key="n" * 32,
                secret_key_fallbacks=(settings.secret_key,),
            )
        )
        client = rotated.test_client()
        client.set_cookie("board", operator.get_cookie("board").value)
        assert signed_in(client)
        rotated.extensions["store"].close()

    def test_the_session_of_before_is_left_behind(self, client, anna):
        before = client.token()
        client.sign_in()
        response = client.post("/logout", data={"csrf_token": before})
        assert response.status_code == 400


class TestJoining:
    @pytest.fixture
    def link(self, store):
        return f"/join/{store.write(add_invitation)}"

    def test_who_was_invited_becomes_an_operator(self, client, store, link):
        assert client.get(link).status_code == 200
        response = client.post(link, data={"name": " Bert ", "password": PASSWORD})
        assert response.headers["Location"] == "/admin/"
        assert signed_in(client)
        assert [operator.name for operator in store.read(read_operators)] == ["Bert"]
        assert client.get(link).status_code == 410

    @pytest.mark.parametrize(
        ("name", "password", "complaint"),
        [
            ("", PASSWORD, "Give your name."),
            ("x" * 61, PASSWORD, "Shorten this"),
            ("a\x07", PASSWORD, "control characters"),
            ("ANNA", PASSWORD, "of this name"),
            ("bert", "short", "12 characters"),
            ("bert", "x" * 201, "200 characters"),
        ],
    )
    def test_with_a_name_and_a_password(self, client, store, anna, link, name, password, complaint):
        response = client.post(link, data={"name": name, "password": password})
        assert response.status_code == 400
        assert complaint in response.text
        assert len(store.read(read_operators)) == 1

    @pytest.mark.parametrize("token", ["x", "x" * 500, "..", "%00", "%F0%9F%8C%AA"])
    def test_without_an_invitation_nobody_does(self, client, token):
        assert client.get(f"/join/{token}").status_code in {404, 410}


def test_the_wait_is_said_in_minutes():
    assert [describe_wait(seconds) for seconds in (1, 60, 61, 900)] == [
        "a minute",
        "a minute",
        "2 minutes",
        "15 minutes",
    ]


def test_a_flood_of_guesses_does_not_take_long(client, anna):
    begun = time.monotonic()
    for _ in range(50):
        client.sign_in(password="wrong")
    assert time.monotonic() - begun < 20
