"""Which addresses are this machine's own."""

import pytest

from waterspout.system.loopback import is_loopback


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_this_machine(address):
    assert is_loopback(address)


@pytest.mark.parametrize(
    "address",
    [
        *["", "10.0.0.1", "192.168.1.5", "0.0.0.0", "::", "fe80::1", "2001:db8::1", "::ffff:10.0.0.1"],
        *["localhost", "127.0.0.1, 10.0.0.1", "127.1", "2130706433", "unix:", "127.0.0.1\n"],
    ],
)
def test_other_machines(address):
    assert not is_loopback(address)
