"""Who asks for a WebSocket."""

import pytest

from waterspout.message.upgrade import asks_for_websocket

ASKING = {"method": "GET", "version": "HTTP/1.1", "upgrade": "websocket", "connection": "Upgrade"}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"upgrade": "WebSocket"},
        {"upgrade": " websocket "},
        {"connection": "keep-alive, upgrade"},
        {"connection": "UPGRADE,keep-alive"},
    ],
)
def test_case_and_other_options_don_t_matter(changes):
    assert asks_for_websocket(**ASKING | changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "POST"},
        {"method": "get"},
        {"version": "HTTP/1.0"},
        {"upgrade": ""},
        {"upgrade": "h2c"},
        {"upgrade": "websocket/13"},
        {"connection": ""},
        {"connection": "keep-alive"},
        {"connection": "upgrades"},
    ],
)
def test_anything_less_does_not(changes):
    assert not asks_for_websocket(**ASKING | changes)
