"""JSON is the same as Tornado's, whatever is written, and also if its encoder is replaced."""

import json
import subprocess
import sys
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tornado import escape

from waterspout.native import encoding
from waterspout.native.encoding import encode_json

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["</", "</script>"]),
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner)
        | st.dictionaries(st.text() | st.integers() | st.none() | st.floats(allow_nan=False), inner)
    ),
    max_leaves=10,
)
CIRCLE = {}
CIRCLE["self"] = CIRCLE


def outcome(encode, value):
    try:
        return encode(value)
    except Exception as error:
        return type(error), str(error)


@given(VALUES)
def test_it_is_tornado_s(value):
    assert encode_json(value) == escape.utf8(escape.json_encode(value))


@pytest.mark.parametrize(
    "value",
    [object(), {"a": {1, 2}}, {(1, 2): 3}, CIRCLE, b"bytes", [[1, object()]], "\ud800"],
)
def test_so_are_its_errors(value):
    for _ in range(2):
        assert outcome(encode_json, value) == outcome(lambda it: escape.utf8(escape.json_encode(it)), value)
    assert encode_json({"after": "it"}) == b'{"after": "it"}'


def test_the_encoder_of_json_dumps_is_there():
    """CPython's own, made once. It has no public name: should it change one day, the slow way is taken."""
    assert encoding._encode is not None


@pytest.mark.parametrize("place", [(escape, "json_encode"), (json, "dumps")])
def test_who_replaces_the_encoder_is_obeyed(monkeypatch, place):
    monkeypatch.setattr(*place, lambda value: "mine")
    assert encode_json({}) == b"mine"


def test_who_replaces_the_module_is_obeyed(monkeypatch):
    monkeypatch.setattr(escape, "json", SimpleNamespace(dumps=lambda value: "mine"))
    assert encode_json({}) == b"mine"


@pytest.mark.parametrize("name", ["escape.json_encode", "json.dumps"])
def test_so_is_who_did_it_before(name):
    """The first lines of many applications do it."""
    lines = (
        "import json",
        "from tornado import escape",
        f"{name} = lambda value: 'mine'",
        "from waterspout.native.encoding import encode_json",
        "print(encode_json({}).decode())",
    )
    assert subprocess.check_output([sys.executable, "-c", "\n".join(lines)], text=True) == "mine\n"


def test_who_teaches_it_more_is_obeyed(monkeypatch):
    monkeypatch.setattr(json.JSONEncoder, "default", lambda self, value: f"<{type(value).__name__}>")
    assert encode_json({"a": object()}) == b'{"a": "<object>"}'


def test_where_there_is_no_such_encoder(monkeypatch):
    monkeypatch.setattr(encoding, "_encode", None)
    assert encode_json({"a": "</"}) == b'{"a": "<\\/"}'
    monkeypatch.delattr(json.encoder, "c_make_encoder")
    assert encoding._make_encode() is None
