import pytest
from flask import Request
from werkzeug.test import EnvironBuilder

from wsgi_app.guards import find_refusal, is_cross_site, is_loopback, is_loopback_name


def make_request(method="POST", host="127.0.0.1:8888", address="127.0.0.1", scheme="http", **headers):
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    environ = EnvironBuilder("/admin/", f"{scheme}://localhost", method=method, headers=names).get_environ()
    return Request({**environ, "HTTP_HOST": host, "REMOTE_ADDR": address})


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_this_machine(address):
    assert is_loopback(address)
    assert find_refusal(make_request(address=address)) is None


@pytest.mark.parametrize(
    "address",
    [
        *["", "10.0.0.1", "192.168.1.5", "0.0.0.0", "::", "fe80::1", "2001:db8::1", "::ffff:10.0.0.1"],
        *["localhost", "127.0.0.1, 10.0.0.1", "127.1", "2130706433", "unix:", "127.0.0.1\n"],
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_other_machines(address, method):
    assert not is_loopback(address)
    assert "only from the machine" in find_refusal(make_request(method, address=address))


def test_no_address_at_all():
    environ = make_request().environ
    del environ["REMOTE_ADDR"]
    assert find_refusal(Request(environ))


@pytest.mark.parametrize("name", ["Forwarded", "X-Forwarded-For", "X-Real-IP", "Via"])
def test_what_came_through_a_proxy(name):
    """Behind a proxy on this machine, everybody has this machine's address."""
    assert "only from the machine" in find_refusal(make_request("GET", **{name: "10.0.0.1"}))


def test_what_came_through_a_proxy_that_the_server_does_not_believe():
    environ = make_request("GET").environ | {"waterspout.forwarded": True}
    assert "only from the machine" in find_refusal(Request(environ))


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:8888", "LOCALHOST", "board.localhost", "127.0.0.1", "[::1]:8888", "127.0.0.2:1"],
)
def test_names_of_this_machine(host):
    assert is_loopback_name(host)
    assert find_refusal(make_request(host=host)) is None


@pytest.mark.parametrize(
    "host",
    [
        *["", "evil.example", "evil.example:8888", "localhost.evil.example", "evillocalhost", "10.0.0.1"],
        *["[::1", "]", "localhost:8888@evil.example", "127.0.0.1.evil.example", "[fe80::1]"],
    ],
)
def test_names_that_merely_lead_here(host):
    """DNS rebinding: the browser takes such a page for one of ours, and says so."""
    assert not is_loopback_name(host)
    assert find_refusal(make_request("GET", host=host, Origin=f"http://{host}", Sec_Fetch_Site="same-origin"))


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec_Fetch_Site": "same-origin"},
        {"Sec_Fetch_Site": "none"},
        {"Origin": "http://127.0.0.1:8888"},
        {"Origin": "http://127.0.0.1:8888", "Sec_Fetch_Site": "same-origin"},
    ],
)
def test_posts_of_our_own_pages(headers):
    assert find_refusal(make_request(**headers)) is None


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": ""},
        {"Sec_Fetch_Site": "cross-site", "Origin": "http://127.0.0.1:8888"},
        {"Sec_Fetch_Site": "same-origin", "Origin": "http://evil.example"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://127.0.0.1"},
        {"Origin": "http://127.0.0.1:3000"},
        {"Origin": "https://127.0.0.1:8888"},
        {"Origin": "http://localhost:8888"},
        {"Origin": "http://127.0.0.1:8888.evil.example"},
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "BREW"])
def test_posts_of_other_sites(method, headers):
    assert is_cross_site(make_request(method, **headers))
    assert "another site" in find_refusal(make_request(method, **headers))


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_links_from_other_sites_may_lead_here(method):
    assert find_refusal(make_request(method, Sec_Fetch_Site="cross-site")) is None


def test_origins_over_https_have_no_default_port():
    request = make_request(host="localhost", scheme="https", Origin="https://localhost")
    assert find_refusal(request) is None


@pytest.mark.parametrize("path", ["/admin/", "/admin/?incident=1"])
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
def test_admit_answers_403(client, store, path, method):
    response = client.open(path, method=method, environ_overrides={"REMOTE_ADDR": "10.0.0.1"})
    assert response.status_code == 403
    assert store.cursor() == 0
