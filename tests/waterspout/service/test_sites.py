import pytest

from waterspout.service.sites import customer_of, is_cross_site, is_loopback_name


@pytest.mark.parametrize(
    ("site", "origin"),
    [
        (None, None),
        ("same-origin", None),
        ("none", None),
        (None, "https://a.example"),
        ("same-origin", "https://b.example"),
    ],
)
def test_our_own_pages(site, origin):
    assert not is_cross_site(site, origin, {"https://a.example", "https://b.example"})


@pytest.mark.parametrize(
    ("site", "origin"),
    [
        ("cross-site", None),
        ("same-site", None),
        ("", None),
        (None, "null"),
        (None, ""),
        ("none", "https://c.example"),
        ("cross-site", "https://a.example"),
    ],
)
def test_pages_of_other_sites(site, origin):
    assert is_cross_site(site, origin, {"https://a.example"})


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:8888", "LOCALHOST", "board.localhost", "127.0.0.1", "[::1]:8888", "127.0.0.2:1"],
)
def test_names_of_this_machine(host):
    assert is_loopback_name(host)


@pytest.mark.parametrize(
    "host",
    [
        *["", "evil.example", "evil.example:8888", "localhost.evil.example", "evillocalhost", "10.0.0.1"],
        *["[::1", "]", "localhost:8888@evil.example", "127.0.0.1.evil.example", "[fe80::1]"],
    ],
)
def test_names_that_merely_lead_here(host):
    assert not is_loopback_name(host)


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "::ffff:192.0.2.7"),
        (None, "unknown"),
        ("", "unknown"),
        ("unix:", "unknown"),
    ],
)
def test_guesses_are_counted_by_a_network(address, counted):
    assert customer_of(address).replace("::ffff:c000:207", "::ffff:192.0.2.7") == counted
