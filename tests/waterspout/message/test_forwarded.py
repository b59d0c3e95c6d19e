"""What header fields say about a client. (`tests/wire/test_proxies.py` has the long lists.)"""

import time
from ipaddress import ip_address, ip_network

import pytest

from waterspout.limits import PROXY_HOPS
from waterspout.message.forwarded import (
    X_FORWARDED,
    Client,
    build_host,
    has_claims,
    is_claim,
    is_of_connection,
    parse_address,
    parse_root_path,
    read_forwarded,
    read_x_forwarded,
    split_host,
)

TRUSTED = ip_network("10.0.0.0/8")


def is_trusted(address):
    return ip_address(address) in TRUSTED


def read_x(**fields):
    named = {f"x-forwarded-{name}": value for name, value in fields.items()}
    return read_x_forwarded(named, "http", "here.example", is_trusted)


def read(text):
    return read_forwarded({"forwarded": text}, "http", "here.example", is_trusted)


@pytest.mark.parametrize(
    "name",
    ["forwarded", "x-forwarded-for", "x-forwarded-anything", "x-real-ip", "front-end-https", "x-scheme"],
)
def test_a_claim_is_known_by_its_name(name):
    assert is_claim(name)
    assert has_claims({"host": "", name: "", "accept": ""})


@pytest.mark.parametrize("name", ["host", "forward", "x-forwarded_for", "x-request-id", "origin", "via"])
def test_other_names_are_none(name):
    assert not is_claim(name)
    assert not has_claims({name: ""})


def test_who_a_proxy_has_let_in_is_no_fact_of_the_connection():
    assert not is_of_connection("x-forwarded-user")
    assert all(map(is_of_connection, ("forwarded", "x-real-ip", "x-forwarded-for", "x-forwarded-ssl")))


def test_what_is_read_is_never_passed_on_as_well():
    assert all(map(is_claim, X_FORWARDED))
    assert all(map(is_of_connection, X_FORWARDED))


@pytest.mark.parametrize(
    ("text", "path"), [("", ""), ("/", ""), ("/a", "/a"), ("/a/", "/a"), ("/a/b-c_d.e~f@g", "/a/b-c_d.e~f@g")]
)
def test_a_root_path_has_no_slash_at_its_end(text, path):
    assert parse_root_path(text) == path


@pytest.mark.parametrize(
    "text",
    [
        "a",
        "//",
        "//a",
        "/a//",
        "/a//b",
        "/..",
        "/a/../b",
        "/./a",
        "/a?",
        "/a b",
        "/a\n",
        "/\xe4",
        "/%61",
        "/a\\",
    ],
)
def test_what_can_be_none(text):
    assert parse_root_path(text) is None


def test_an_address_of_ipv4_is_one_however_it_is_written():
    assert parse_address("::ffff:192.0.2.7") == ip_address("192.0.2.7")
    assert parse_address("nowhere") is None


@pytest.mark.parametrize(
    ("host", "scheme", "port", "built"),
    [
        ("a", "http", "", "a"),
        ("a:80", "http", "", "a"),
        ("a:0080", "http", "", "a"),
        ("a:80", "https", "", "a:80"),
        ("a", "https", "8443", "a:8443"),
        ("a:1", "https", "8443", "a:1"),
        ("a", "https", "80", "a"),
        ("a:0", "http", "", "a"),
        ("[::1]", "http", "8080", "[::1]:8080"),
        ("[1:2]", "http", "", ""),
        ("", "http", "80", ""),
        ("a b", "http", "", ""),
        ("a:80:80", "http", "", ""),
        ("a:65536", "http", "", "a"),
    ],
)
def test_a_host_has_a_port_only_when_it_says_something(host, scheme, port, built):
    assert build_host(host, scheme, port) == built


def test_a_host_is_a_name_and_a_port():
    assert split_host("a", "https") == ("a", "443")
    assert split_host("a:8080", "http") == ("a", "8080")
    assert split_host("[::1]", "http") == ("::1", "80")
    assert split_host("[::1]:81", "http") == ("::1", "81")


def test_who_says_nothing_leaves_all_as_it_is():
    nothing = Client("", "", "http", "here.example", "")
    assert read_x_forwarded({}, "http", "here.example", is_trusted) == nothing
    assert read_forwarded({}, "http", "here.example", is_trusted) == nothing


def test_only_so_many_proxies_are_counted():
    inside = ",".join(["10.0.0.1"] * PROXY_HOPS)
    assert read_x(**{"for": "203.0.113.9," + inside}).address == "10.0.0.1"
    assert read_x(**{"for": "203.0.113.9," + inside[9:]}).address == "203.0.113.9"
    elements = ",".join(["for=10.0.0.1"] * PROXY_HOPS)
    assert read("for=203.0.113.9," + elements).address == "10.0.0.1"
    assert read("for=203.0.113.9," + elements[13:]).address == "203.0.113.9"


def test_the_element_that_names_the_client_says_the_rest():
    text = (
        "for=6.6.6.6;proto=http;host=evil, for=203.0.113.9;proto=https;host=a, for=10.0.0.1;proto=http;host=b"
    )
    assert read(text) == Client("203.0.113.9", "", "https", "a", "")
    # A trusted proxy that does not name its client still got the request from it.
    assert read("for=_x;proto=https;host=a, for=10.0.0.1;host=b") == Client("10.0.0.1", "", "https", "a", "")


@pytest.mark.parametrize(
    "text",
    [
        "for=203.0.113.9;;proto=https",
        ";for=203.0.113.9;proto=https",
        "for=203.0.113.9;proto=https;;",
        "for=6.6.6.6;proto=http,,for=203.0.113.9;proto=https",
    ],
)
def test_empty_pairs_mean_nothing(text):
    assert read(text) == Client("203.0.113.9", "", "https", "here.example", "")


@pytest.mark.parametrize("end", [",", ", ", ", ,", ",;", ",for=unknown"])
def test_a_proxy_that_says_nothing_lets_the_client_say_nothing_either(end):
    """A template writes an empty element where it knows nothing; what is left of it is the client's."""
    claim = "for=6.6.6.6;proto=https;host=evil"
    assert read(claim + end) == Client("", "", "http", "here.example", "")
    assert read(f"{claim}{end}, for=10.0.0.2") == Client("10.0.0.2", "", "http", "here.example", "")


@pytest.mark.parametrize(
    "text",
    [
        *('"', '""', '" ', "for=1.1.1.1,", "a=b;", ',"', "=,", 'for="', "for=10.0.0.1,", 'x="y",'),
        *("a=b;a=b;", "\t", " ", "for=", "a", ";", ",", '"\\'),
    ],
)
def test_no_field_costs_more_than_linear_time(text):
    def cost(size):
        filled = text * (size // len(text))  # whole ones: one that is cut short may be refused at once
        best = 1.0
        for _ in range(3):
            begun = time.thread_time()
            read(filled)
            read(f",{filled}x, for=203.0.113.9")
            read_x(**{"for": filled, "host": filled, "prefix": filled, "port": filled, "proto": filled})
            best = min(best, time.thread_time() - begun)
        return best

    # Eight times the size: 64 times the time if it were quadratic. A floor keeps the clock's noise out.
    assert cost(64_000) < 24 * max(cost(8_000), 0.0005)
