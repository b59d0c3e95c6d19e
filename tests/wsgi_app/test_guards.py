import pytest
from flask import Request
from werkzeug.test import EnvironBuilder

from app.settings import parse_board_url
from wsgi_app.guards import is_cross_site, is_private

PUBLIC = "https://status.example.com"


def make_request(method="POST", host="127.0.0.1:8888", scheme="http", **headers):
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    environ = EnvironBuilder("/admin/", f"{scheme}://localhost", method=method, headers=names).get_environ()
    return Request({**environ, "HTTP_HOST": host})


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:8888", "LOCALHOST", "board.localhost", "127.0.0.1", "[::1]:8888", "127.0.0.2:1"],
)
def test_names_of_this_machine(host):
    assert is_private(make_request(host=host))


@pytest.mark.parametrize(
    "host",
    [
        *["", "evil.example", "evil.example:8888", "localhost.evil.example", "evillocalhost", "10.0.0.1"],
        *["[::1", "]", "localhost:8888@evil.example", "127.0.0.1.evil.example", "[fe80::1]"],
    ],
)
def test_names_that_merely_lead_here(host):
    assert not is_private(make_request(host=host))


def test_what_travels_over_tls_is_private():
    assert is_private(make_request(host="status.example.com", scheme="https"))
    assert is_private(make_request(host="status.example.com"), PUBLIC)
    assert not is_private(make_request(host="status.example.com"), "http://status.example.com")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec_Fetch_Site": "same-origin"},
        {"Sec_Fetch_Site": "none"},
        {"Origin": "http://127.0.0.1:8888"},
        {"Origin": "http://127.0.0.1:8888", "Sec_Fetch_Site": "same-origin"},
        {"Origin": PUBLIC},
    ],
)
def test_posts_of_our_own_pages(headers):
    assert not is_cross_site(make_request(**headers), PUBLIC)


@pytest.mark.parametrize("host", ["xn--sttus-hra.example.com", "[2001:db8::1]:8888", "Pier:8888"])
def test_a_host_is_written_as_browsers_send_it(host):
    """Not as people read it, as in `Request.host_url`."""
    assert not is_cross_site(make_request(host=host, Origin=f"http://{host.lower()}"))


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://status.example.com:443", "https://status.example.com"),
        ("https://[2001:DB8:0::1]", "https://[2001:db8::1]"),
        ("https://Stätus.example.com", "https://xn--sttus-hra.example.com"),
    ],
)
def test_the_public_address_is_compared_as_browsers_write_it(url, origin):
    assert not is_cross_site(make_request(Origin=origin), parse_board_url(url))


FOREIGN = [
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
]


@pytest.mark.parametrize("headers", FOREIGN)
@pytest.mark.parametrize("public_url", ["", PUBLIC])
def test_posts_of_other_sites(headers, public_url):
    assert is_cross_site(make_request(**headers), public_url)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "BREW"])
@pytest.mark.parametrize("path", ["/admin/", "/login", "/logout", "/"])
def test_are_refused_with_a_clear_answer(operator, path, method):
    response = operator.open(path, method=method, headers={"Origin": "http://evil.example"})
    assert response.status_code == 403
    assert "another site" in response.text
    assert operator.get("/admin/").status_code == 200


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_links_from_other_sites_may_lead_here(operator, method):
    response = operator.open("/admin/", method=method, headers={"Sec-Fetch-Site": "cross-site"})
    assert response.status_code == 200
