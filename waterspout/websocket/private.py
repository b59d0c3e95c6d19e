"""All of Tornado's private and undocumented names that our protocol cannot do without.

As of Tornado 6.6.1; `tests/waterspout/websocket/test_private.py` fails when one of them changes. Of
`WebSocketHandler` we use, besides what its documentation names:

* `open_args`, `open_kwargs`: what `get` was called with, for `open`
* `on_ws_connection_close(code, reason)`: calls `on_close`, once, and drops the protocol
* `_on_close_called`: whether that has been so
* `ws_connection`: the protocol. The handler uses its `accept_connection`, `close`, `is_closing`,
  `on_connection_close`, `selected_subprotocol`, `set_nodelay`, `write_message` and `write_ping`
"""

from __future__ import annotations

from collections.abc import Callable

from tornado.websocket import WebSocketProtocol

from waterspout.websocket.frames import apply_mask

#: (mask, data) -> data. Tornado's C extension is optional; figures in `frames.apply_mask`.
websocket_mask: Callable[[bytes, bytes], bytes]
try:
    from tornado.speedups import websocket_mask
except ImportError:
    websocket_mask = apply_mask


def is_closing(protocol: WebSocketProtocol) -> bool:
    """For any protocol. Tornado's own can't tell without a stream: when it has refused the handshake."""
    return getattr(protocol, "stream", protocol) is None or protocol.is_closing()
