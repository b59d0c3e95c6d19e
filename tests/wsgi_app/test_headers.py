import pytest
from flask import Response

from app.store.incidents import add_incident
from wsgi_app.headers import HEADERS, add_headers


@pytest.mark.parametrize("path", ["/", "/admin/", "/nowhere", "/static/live.js"])
def test_every_reply_is_strict(client, path):
    with client.get(path) as response:
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Referrer-Policy"] == "same-origin"


def test_what_a_view_has_set_stays():
    response = add_headers(Response(headers={"Cache-Control": "max-age=60"}))
    assert response.headers.getlist("Cache-Control") == ["max-age=60"]
    assert set(HEADERS) <= set(response.headers.keys())


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/incidents/1", "/nowhere", "/admin/", "/admin/components/", "/admin/maintenance/"),
        *("/admin/operators/", "/admin/audit/"),
    ],
)
def test_no_page_needs_what_the_policy_forbids(operator, store, path):
    store.write(add_incident, "Slow", "investigating", "We look.")
    page = operator.get(path).text
    assert "<style" not in page
    assert " style=" not in page
    assert " onclick=" not in page
    assert page.count("<script") == page.count("<script src=")
    assert "//" not in page.replace("<!doctype html>", "")
