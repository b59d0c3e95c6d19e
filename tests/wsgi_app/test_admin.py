import io

import pytest

import waterspout
from app.store import LARGEST_ID, TEXT_LENGTH, State
from tests.app.databases import post_incidents
from wsgi_app import MAX_CONTENT_LENGTH

INCIDENT = {"title": "Slow", "state": "investigating", "text": "We look."}


@pytest.fixture
def published(monkeypatch, store):
    """What was published, each with the cursor that a reader saw at that moment."""
    published = []

    def publish(topic, message):
        published.append((topic, message, store.cursor()))

    monkeypatch.setattr(waterspout, "publish", publish, raising=False)
    return published


def test_the_form_offers_what_it_takes(client, store):
    post_incidents(store, 2)
    page = client.get("/admin/").text
    for name in ("title", "incident", "state", "text"):
        assert f'name="{name}"' in page
    for state in State:
        assert f'value="{state.value}"' in page
    assert page.count("<label for=") == 6
    assert 'aria-invalid="' not in page


def test_an_incident_can_be_chosen_by_a_link(client, store):
    post_incidents(store, 2)
    assert '<option value="2" selected>' in client.get("/admin/?incident=2").text
    assert "selected" not in client.get("/admin/?incident=77").text


def test_an_incident_is_posted(client, store, published):
    response = client.post("/admin/", data=INCIDENT)
    assert response.status_code == 303
    assert response.headers["Location"] == "/incidents/1"
    incident = store.incident(1)
    assert (incident.title, incident.state) == ("Slow", State.INVESTIGATING)
    assert published == [("incidents", {"incident": 1, "update": 1}, 1)]


def test_an_update_is_posted(client, store, published):
    post_incidents(store, 2)
    response = client.post("/admin/", data={"incident": "1", "state": "resolved", "text": "Done.\r\nReally."})
    assert response.status_code == 303
    assert response.headers["Location"] == "/incidents/1"
    incident = store.incident(1)
    assert incident.state is State.RESOLVED
    assert incident.updates[0].text == "Done.\nReally."
    assert published == [("incidents", {"incident": 1, "update": 3}, 3)]


def test_without_a_server_posting_works(client, store):
    assert client.post("/admin/", data=INCIDENT).status_code == 303
    assert store.cursor() == 1


@pytest.mark.parametrize(
    ("form", "wrong"),
    [
        ({}, ["title", "state", "text"]),
        ({**INCIDENT, "title": " "}, ["title"]),
        ({**INCIDENT, "text": "x" * (TEXT_LENGTH + 1)}, ["text"]),
        ({**INCIDENT, "text": "nul \0"}, ["text"]),
        ({"incident": "1", "state": "gone", "text": ""}, ["state", "text"]),
        ({"incident": "", "state": "resolved", "text": "Done."}, ["incident"]),
        ({"incident": "2", "state": "resolved", "text": "Done."}, ["incident"]),
        ({"incident": str(LARGEST_ID + 1), "state": "resolved", "text": "Done."}, ["incident"]),
        ({"incident": "9" * 400, "state": "resolved", "text": "Done."}, ["incident"]),
    ],
)
def test_a_form_that_is_wrong_says_where(client, store, published, form, wrong):
    post_incidents(store, 1)
    response = client.post("/admin/", data=form)
    assert response.status_code == 400
    kind = "update" if "incident" in form else "new"
    for name in wrong:
        assert f'id="{kind}-{name}-problem"' in response.text
    assert response.text.count('class="problem"') == len(wrong)
    assert store.cursor() == 1
    assert published == []


def test_a_form_that_is_wrong_keeps_what_was_written(client, store):
    post_incidents(store, 1)
    response = client.post("/admin/", data={"title": "<Slow>", "state": "identified", "text": ""})
    assert 'value="&lt;Slow&gt;"' in response.text
    assert response.text.count('<option value="identified" selected>') == 1
    response = client.post("/admin/", data={"incident": "1", "state": "", "text": "\n  <Kept>"})
    assert '<option value="1" selected>' in response.text
    assert "&lt;Kept&gt;</textarea>" in response.text


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", None),
        (b"\xff\xfe\x00%zz&=&;;&title", "application/x-www-form-urlencoded"),
        (b'{"title": "Slow"}', "application/json"),
        (b"{", "application/json"),
        (b"--x\r\nbroken", "multipart/form-data; boundary=x"),
        (b"no boundary", "multipart/form-data"),
        (b"--x\r\n\r\n\r\n--x--", "multipart/form-data; boundary=x"),
        (b"title=%ff%fe&state=resolved&text=%ed%a0%80", "application/x-www-form-urlencoded; charset=utf-16"),
        (b"&".join(b"a=1" for _ in range(5000)), "application/x-www-form-urlencoded"),
    ],
)
def test_no_body_makes_it_fail(client, body, content_type):
    assert client.post("/admin/", data=body, content_type=content_type).status_code in {303, 400}


def test_files_are_not_fields(client, store):
    response = client.post("/admin/", data={**INCIDENT, "title": (io.BytesIO(b"x"), "x.txt")})
    assert response.status_code == 400
    assert store.cursor() == 0


def test_a_body_that_is_too_large_is_refused(client, store):
    response = client.post("/admin/", data={**INCIDENT, "text": "x" * MAX_CONTENT_LENGTH})
    assert response.status_code == 413
    assert "<h1>Request Entity Too Large</h1>" in response.text
    assert store.cursor() == 0


@pytest.mark.parametrize("length", [100, MAX_CONTENT_LENGTH - 1])
def test_a_body_of_unannounced_length_may_be_short(client, length):
    assert post_chunked(client, length).status_code == 303


@pytest.mark.parametrize("length", [MAX_CONTENT_LENGTH, MAX_CONTENT_LENGTH + 1, 10 * MAX_CONTENT_LENGTH])
def test_a_body_of_unannounced_length_is_not_cut(client, store, length):
    assert post_chunked(client, length).status_code == 413
    assert store.cursor() == 0


def post_chunked(client, length):
    """Post a good form, made so long by a field nobody asked for, chunked as a server hands it over."""
    body = b"title=Slow&state=resolved&text=Done.&more="
    stream = io.BytesIO(body.ljust(length, b"x"))
    environ = {"wsgi.input": stream, "wsgi.input_terminated": True, "CONTENT_LENGTH": ""}
    return client.post("/admin/", content_type="application/x-www-form-urlencoded", environ_overrides=environ)


def test_a_post_from_another_site_is_refused(client, store):
    response = client.post("/admin/", data=INCIDENT, headers={"Origin": "http://evil.example"})
    assert response.status_code == 403
    assert "another site" in response.text
    response = client.post("/admin/", data=INCIDENT, headers={"Sec-Fetch-Site": "cross-site"})
    assert response.status_code == 403
    assert store.cursor() == 0


def test_a_post_from_our_own_page_is_taken(client, store):
    headers = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}
    assert client.post("/admin/", data=INCIDENT, headers=headers).status_code == 303
    assert store.cursor() == 1


def test_the_folder_leads_to_the_form(client):
    response = client.get("/admin")
    assert response.status_code == 308
    assert response.headers["Location"].endswith("/admin/")
