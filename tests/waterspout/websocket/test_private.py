"""What we use of Tornado that its documentation does not promise."""

import ast
import inspect
import os
import textwrap

import pytest
from tornado import websocket
from tornado.http1connection import HTTP1Connection
from tornado.iostream import IOStream
from tornado.util import _websocket_mask_python
from tornado.web import RequestHandler
from tornado.websocket import WebSocketHandler

from waterspout.websocket.frames import apply_mask
from waterspout.websocket.handler import _HTTP_ONLY
from waterspout.websocket.private import is_closing, websocket_mask
from waterspout.websocket.protocol import WebSocketProtocol


def parameters(function):
    return list(inspect.signature(function).parameters)


@pytest.mark.parametrize("mask", [websocket_mask, apply_mask, _websocket_mask_python])
def test_masks_are_alike(mask):
    key, data = b"\x01\xfe\x80\x7f", os.urandom(1001)
    assert mask(key, b"") == b""
    assert mask(key, data) == _websocket_mask_python(key, data)


def test_a_protocol_without_a_connection_is_closing():
    """Tornado's own can't say so itself."""
    params = websocket._WebSocketParams()
    tornados = websocket.WebSocketProtocol13(None, False, params)
    with pytest.raises(AttributeError):
        tornados.is_closing()
    assert is_closing(tornados)
    assert is_closing(WebSocketProtocol(None))


def tree_of(something):
    return ast.parse(textwrap.dedent(inspect.getsource(something)))


def attributes_of(something, owner):
    """Names in `owner.name`, wherever that occurs in the source of `something`."""
    nodes = [node for node in ast.walk(tree_of(something)) if isinstance(node, ast.Attribute)]
    return {node.attr for node in nodes if ast.unparse(node.value) == owner}


ASKED = {
    "accept_connection",
    "close",
    "is_closing",
    "on_connection_close",
    "selected_subprotocol",
    "set_nodelay",
    "write_message",
    "write_ping",
}


def test_the_handler_asks_of_its_connection_what_we_have():
    assert attributes_of(WebSocketHandler, "self.ws_connection") == ASKED
    for name in ASKED - {"selected_subprotocol"}:
        tornados = getattr(websocket.WebSocketProtocol13, name)
        assert parameters(getattr(WebSocketProtocol, name)) == parameters(tornados)


def test_get_leaves_the_arguments_of_open():
    stored = [node for node in ast.walk(tree_of(WebSocketHandler.get)) if isinstance(node, ast.Assign)]
    targets = {ast.unparse(node.targets[0]): ast.unparse(node.value) for node in stored}
    assert targets["self.open_args"] == "args"
    assert targets["self.open_kwargs"] == "kwargs"
    assert targets["self.ws_connection"] == "self.get_websocket_protocol()"


def test_the_handler_is_told_of_the_end():
    assert parameters(WebSocketHandler.on_ws_connection_close) == ["self", "close_code", "close_reason"]
    called = attributes_of(WebSocketHandler.on_connection_close, "self")
    assert {"on_close", "_on_close_called", "ws_connection"} <= called
    assert parameters(WebSocketHandler.log_exception) == ["self", "typ", "value", "tb"]


def test_what_is_detached_is_a_stream():
    assert parameters(RequestHandler.detach) == parameters(HTTP1Connection.detach) == ["self"]
    assert {"read_bytes", "write", "set_close_callback", "closed", "close"} <= set(dir(IOStream))


def test_the_methods_that_are_refused_are_tornados():
    (names,) = [
        node for node in ast.walk(tree_of(WebSocketHandler._detach_stream)) if isinstance(node, ast.List)
    ]
    assert ast.literal_eval(names) == list(_HTTP_ONLY)


def test_limits_are_tornados():
    assert websocket._YIELD_THRESHOLD == 256 * 1024
    assert websocket._FRAME_YIELD_COST == 1024
