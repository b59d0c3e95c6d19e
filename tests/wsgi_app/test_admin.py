import io

import pytest

from app.store.audit import read_audit
from app.store.components import add_component, archive_component, read_components
from app.store.history import read_version
from app.store.incidents import INCIDENTS_LISTED, read_cursor, read_incident
from app.store.rows import LARGEST_ID
from app.store.tables import TEXT_LENGTH, Impact, State
from tests.app.databases import post_incidents
from tests.wsgi_app.conftest import PASSWORD, PNG
from wsgi_app.guards import MAX_CONTENT_LENGTH

INCIDENT = {"title": "Slow", "state": "investigating", "impact": "major", "text": "We look."}


def test_the_form_offers_what_it_takes(operator, store):
    post_incidents(store, 2)
    page = operator.get("/admin/").text
    for name in ("title", "incident", "state", "text"):
        assert f'name="{name}"' in page
    for state in State:
        assert f'value="{state.value}"' in page
    assert page.count("<label for=") == 10
    assert 'aria-invalid="' not in page


def test_an_incident_can_be_chosen_by_a_link(operator, store):
    post_incidents(store, 2)
    assert '<option selected value="2">' in operator.get("/admin/?incident=2").text
    assert '<option selected value="">Choose…</option>' in operator.get("/admin/?incident=77").text


def test_an_incident_is_posted(operator, store, published):
    response = operator.post("/admin/", data=INCIDENT)
    assert response.status_code == 303
    assert response.headers["Location"] == "/incidents/1"
    incident = store.read(read_incident, 1)
    assert (incident.title, incident.state) == ("Slow", State.INVESTIGATING)
    (topic, message, seen) = published[0]
    assert (topic, message["incident"], message["update"], seen) == ("incidents", 1, 1, 1)
    assert message["version"] == store.read(read_version)


def test_an_update_is_posted(operator, store, published):
    post_incidents(store, 2)
    response = operator.post(
        "/admin/", data={"incident": "1", "state": "resolved", "text": "Done.\r\nReally."}
    )
    assert response.status_code == 303
    assert response.headers["Location"] == "/incidents/1"
    incident = store.read(read_incident, 1)
    assert incident.state is State.RESOLVED
    assert incident.updates[0].text == "Done.\nReally."
    (topic, message, seen) = published[0]
    assert (topic, message["incident"], message["update"], seen) == ("incidents", 1, 3, 3)


@pytest.mark.parametrize("form", [INCIDENT, {"incident": "1", "state": "resolved", "text": "Done."}])
def test_a_form_that_is_sent_twice_is_posted_once(operator, store, settings, form):
    """A double click; a browser that tries again."""
    post_incidents(store, 1)
    form = {**form, "csrf_token": operator.token()}
    replies = [
        operator.post("/admin/", data={**form, "files": [(io.BytesIO(PNG), "a.png")]}) for _ in range(2)
    ]
    assert [reply.status_code for reply in replies] == [303, 303]
    assert replies[0].headers["Location"] == replies[1].headers["Location"]
    assert store.read(read_cursor) == 2
    assert len(list((settings.folder / "attachments").iterdir())) == 1
    operator.post("/admin/", data={**form, "text": "And another thing.", "files": []})
    assert store.read(read_cursor) == 3


def test_without_a_server_posting_works(operator, store):
    assert operator.post("/admin/", data=INCIDENT).status_code == 303
    assert store.read(read_cursor) == 1


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
def test_a_form_that_is_wrong_says_where(operator, store, published, form, wrong):
    post_incidents(store, 1)
    response = operator.post("/admin/", data=form)
    assert response.status_code == 400
    kind = "update" if "incident" in form else "new"
    for name in wrong:
        assert f'id="{kind}-{name}-problem"' in response.text
    assert response.text.count('class="problem"') == len(wrong)
    assert store.read(read_cursor) == 1
    assert published == []


def test_a_form_that_is_wrong_keeps_what_was_written(operator, store):
    post_incidents(store, 1)
    form = {"title": "<Slow>", "state": "identified", "text": "", "impact": "critical"}
    response = operator.post("/admin/", data=form)
    assert 'value="&lt;Slow&gt;"' in response.text
    assert response.text.count('<option selected value="identified">') == 1
    assert '<option selected value="critical">' in response.text
    response = operator.post("/admin/", data={"incident": "1", "state": "", "text": "\n  <Kept>"})
    assert '<option selected value="1">' in response.text
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
def test_no_body_makes_it_fail(operator, body, content_type):
    """The token is in a header: Flask-WTF takes it from there as well."""
    headers = {"X-CSRFToken": operator.token()}
    reply = operator.open("/admin/", method="POST", data=body, content_type=content_type, headers=headers)
    assert reply.status_code in {303, 400, 413}


def test_files_are_not_fields(operator, store):
    response = operator.post("/admin/", data={**INCIDENT, "title": (io.BytesIO(b"x"), "x.txt")})
    assert response.status_code == 400
    assert store.read(read_cursor) == 0


@pytest.mark.parametrize(
    ("path", "field"),
    [
        *[("/login", "name"), ("/login", "password"), ("/admin/components/", "name")],
        *[("/admin/maintenance/", "title"), ("/admin/maintenance/", "starts_at")],
    ],
)
def test_nor_where_no_files_are_asked_for(operator, path, field):
    fields = {"name": "anna", "password": PASSWORD, "title": "Upgrade"}
    response = operator.post(path, data={**fields, field: (io.BytesIO(b"x"), "x.txt")})
    assert response.status_code == 400
    assert f'-{field}-problem"' in response.text


def test_nor_is_json(operator):
    """Flask-WTF takes a form as JSON, too; a number in it is not a password."""
    headers = {"X-CSRFToken": operator.token("/login")}
    for path in ("/login", "/admin/maintenance/"):
        for sent in ({"name": 1, "password": 2, "title": 3, "starts_at": 4}, 1, [1], None):
            assert operator.open(path, method="POST", json=sent, headers=headers).status_code == 400


def test_a_body_that_is_too_large_is_refused(operator, store):
    response = operator.post("/admin/components/", data={"name": "x" * MAX_CONTENT_LENGTH})
    assert response.status_code == 413
    assert "<h1>Request Entity Too Large</h1>" in response.text
    assert store.read(read_components) == []


@pytest.mark.parametrize("length", [300, MAX_CONTENT_LENGTH - 1])
def test_a_body_of_unannounced_length_may_be_short(operator, length):
    assert post_chunked(operator, length).status_code == 303


@pytest.mark.parametrize("length", [MAX_CONTENT_LENGTH, MAX_CONTENT_LENGTH + 1, 10 * MAX_CONTENT_LENGTH])
def test_a_body_of_unannounced_length_is_not_cut(operator, store, length):
    assert post_chunked(operator, length).status_code == 413
    assert store.read(read_cursor) == 0


def post_chunked(operator, length):
    """Post a valid form, padded to `length` by an unknown field, chunked as a server passes it on."""
    body = (
        b"title=Slow&state=resolved&impact=minor&text=Done.&csrf_token=%s&more=" % operator.token().encode()
    )
    stream = io.BytesIO(body.ljust(length, b"x"))
    environ = {"wsgi.input": stream, "wsgi.input_terminated": True, "CONTENT_LENGTH": ""}
    return operator.open(
        "/admin/",
        method="POST",
        content_type="application/x-www-form-urlencoded",
        environ_overrides=environ,
    )


def test_a_post_from_another_site_is_refused(operator, store):
    response = operator.post("/admin/", data=INCIDENT, headers={"Origin": "http://evil.example"})
    assert response.status_code == 403
    assert "another site" in response.text
    response = operator.post("/admin/", data=INCIDENT, headers={"Sec-Fetch-Site": "cross-site"})
    assert response.status_code == 403
    assert store.read(read_cursor) == 0


def test_a_post_from_our_own_page_is_taken(operator, store):
    headers = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}
    assert operator.post("/admin/", data=INCIDENT, headers=headers).status_code == 303
    assert store.read(read_cursor) == 1


def test_the_folder_leads_to_the_form(operator):
    response = operator.get("/admin")
    assert response.status_code == 308
    assert response.headers["Location"].endswith("/admin/")


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "path",
    [
        *("/admin/", "/admin/?incident=1", "/admin/components/", "/admin/components/1", "/admin/audit/"),
        *("/admin/components/1/name", "/admin/maintenance/", "/admin/maintenance/1/end", "/admin/operators/"),
        *("/admin/operators/invite", "/admin/operators/1/disable", "/admin/incidents/1"),
    ],
)
def test_nobody_else_gets_in(client, store, method, path):
    response = client.open(path, method=method, data={**INCIDENT, "csrf_token": client.token()})
    assert response.status_code in {302, 403, 405}
    if response.status_code == 302:
        assert response.headers["Location"].startswith("/login?next=%2Fadmin%2F")
    assert store.read(read_cursor) == 0
    assert store.read(read_audit) == []


def test_every_view_below_admin_is_behind_the_guard(flask_app):
    below = [rule for rule in flask_app.url_map.iter_rules() if rule.rule.startswith("/admin")]
    assert len(below) > 8
    assert all(rule.endpoint.startswith("admin.") for rule in below)


def test_who_was_signed_out_meanwhile_is_told(client):
    response = client.post("/admin/", data=INCIDENT)
    assert response.status_code == 403
    assert "signed out" in response.text


@pytest.mark.parametrize("token", ["", "x", None])
def test_without_a_token_nothing_is_done(operator, store, token):
    data = INCIDENT if token is None else {**INCIDENT, "csrf_token": token}
    response = operator.open("/admin/", method="POST", data=data)
    assert response.status_code == 400
    assert "not from your current session" in response.text
    assert store.read(read_cursor) == 0


def test_the_token_of_another_session_is_none(operator, client, store):
    """Stolen, or an attacker's own: it must not work in anybody else's session."""
    response = operator.post("/admin/", data={**INCIDENT, "csrf_token": client.token()})
    assert response.status_code == 400
    assert store.read(read_cursor) == 0


def test_an_incident_has_an_impact_and_components(operator, store):
    ids = [store.write(add_component, name).id for name in ("Web", "Mail")]
    operator.post("/admin/", data={**INCIDENT, "components": [str(ids[1])]})
    incident = store.read(read_incident, 1)
    assert incident.impact is Impact.MAJOR
    assert [component.name for component in incident.components] == ["Mail"]


def test_an_update_may_change_the_impact(operator, store):
    post_incidents(store, 1)
    update = {"incident": "1", "state": "identified", "text": "Worse.", "impact": "critical"}
    operator.post("/admin/", data=update)
    assert store.read(read_incident, 1).impact is Impact.CRITICAL
    operator.post("/admin/", data={**update, "impact": ""})
    assert store.read(read_incident, 1).impact is Impact.CRITICAL


@pytest.mark.parametrize("components", [["7"], ["x"], [""], ["1", "2"], ["1" * 5000]])
def test_components_that_there_are_not_are_refused(operator, store, components):
    store.write(add_component, "Web")
    store.write(archive_component, store.write(add_component, "Old").id, True)
    response = operator.post("/admin/", data={**INCIDENT, "components": components})
    assert response.status_code == 400
    assert "no longer there" in response.text
    assert store.read(read_cursor) == 0


def test_an_old_incident_can_be_chosen_by_its_link_and_stays_so(operator, store):
    first = post_incidents(store, INCIDENTS_LISTED + 1)[0]
    assert f'<option selected value="{first}">' in operator.get(f"/admin/?incident={first}").text
    response = operator.post("/admin/", data={"incident": first, "state": "", "text": "Refused at first."})
    assert response.status_code == 400
    assert f'<option selected value="{first}">' in response.text


def test_who_posted_is_in_the_audit(operator, store):
    operator.post("/admin/", data=INCIDENT)
    line = store.read(read_audit)[0]
    assert (line.who, line.address, line.action, line.subject) == (
        "anna",
        "127.0.0.1",
        "opened incident",
        "Slow",
    )


class TestComponentsOfAnIncident:
    @pytest.fixture
    def ids(self, operator, store):
        ids = [store.write(add_component, name).id for name in ("Web", "Mail", "API")]
        operator.post("/admin/", data={**INCIDENT, "components": [str(ids[1])]})
        return ids

    def names(self, store) -> list[str]:
        return [component.name for component in store.read(read_incident, 1).components]

    def test_the_page_shows_what_it_is_now(self, operator, ids):
        assert 'href="/admin/incidents/1"' in operator.get("/admin/").text
        page = operator.get("/admin/incidents/1").text
        assert page.count(" checked>") == 1
        assert f'value="{ids[1]}" checked>' in page

    def test_they_are_changed_told_of_and_in_the_audit(self, operator, client, store, ids, published):
        response = operator.post("/admin/incidents/1", data={"components": [str(ids[0]), str(ids[2])]})
        assert (response.status_code, response.headers["Location"]) == (303, "/incidents/1")
        assert self.names(store) == ["Web", "API"]
        assert published[-1][1]["version"] == store.read(read_version)
        assert "<bdi>Web</bdi>, <bdi>API</bdi>" in client.get("/incidents/1").text
        line = store.read(read_audit)[0]
        assert (line.who, line.action) == ("anna", "changed components")
        assert line.subject == "Slow: Web, API"

    def test_there_may_be_none(self, operator, store, ids):
        assert operator.post("/admin/incidents/1").status_code == 303
        assert self.names(store) == []

    def test_what_is_as_it_was_leaves_no_line(self, operator, store, ids):
        lines = len(store.read(read_audit))
        operator.post("/admin/incidents/1", data={"components": [str(ids[1])]})
        assert len(store.read(read_audit)) == lines

    def test_an_archived_one_stays_and_is_not_offered(self, operator, store, ids):
        store.write(archive_component, ids[1], True)
        assert "Mail" not in operator.get("/admin/incidents/1").text.partition("<form class=")[2]
        operator.post("/admin/incidents/1", data={"components": [str(ids[0])]})
        assert self.names(store) == ["Web", "Mail"]

    @pytest.mark.parametrize("components", [["77"], ["x"], [""]])
    def test_others_are_refused(self, operator, store, ids, components):
        response = operator.post("/admin/incidents/1", data={"components": components})
        assert response.status_code == 400
        assert "no longer there" in response.text
        assert self.names(store) == ["Mail"]

    def test_there_is_no_other_incident(self, operator, ids):
        assert operator.get("/admin/incidents/77").status_code == 404
        assert operator.post("/admin/incidents/77").status_code == 404
