"""What --ops-bind takes."""

import pytest

from waterspout.exceptions import ConfigurationError
from waterspout.ops.address import OpsAddress, parse_ops_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:9100", OpsAddress("127.0.0.1", 9100)),
        ("localhost:0", OpsAddress("localhost", 0)),
        ("[::1]:9100", OpsAddress("::1", 9100)),
        ("0.0.0.0:65535", OpsAddress("0.0.0.0", 65535)),
        ("unix:/run/x.sock", OpsAddress(path="/run/x.sock")),
        ("unix:relative", OpsAddress(path="relative")),
    ],
)
def test_an_address_is_read_and_written(text, address):
    assert parse_ops_address(f" {text} ") == address
    assert str(address) == text


@pytest.mark.parametrize(
    "text",
    [
        *("", "9100", ":9100", "host", "host:", "host:x", "host:-1", "host:65536", "::1:9100", "[]:1"),
        *("unix:", "host:\u0663", "host:1_0", "http://host:80", "host:" + "9" * 5000),
    ],
)
def test_what_is_no_address_is_refused_with_examples(text):
    with pytest.raises(ConfigurationError, match=r"127\.0\.0\.1:9100"):
        parse_ops_address(text)
