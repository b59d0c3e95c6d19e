"""How a path is read, and which patterns are Flask's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.wsgi import get_path_info

from waterspout.exceptions import ConfigurationError
from waterspout.message.target import decode_path_info
from waterspout.routing.paths import decode_path, is_flask_style, spell_plain


@given(st.text(st.characters(max_codepoint=255, exclude_characters="?#")).map(lambda text: f"/{text}"))
def test_it_is_decoded_as_a_flask_app_decodes_it(path):
    assert decode_path(path) == get_path_info({"PATH_INFO": decode_path_info(path)})


@pytest.mark.parametrize(
    "path", ["/a", "/a%20b", "/caf%C3%A9", "/100%25", "/a;x=1,b:c@d", "/%5Ba%5D", "/~a", "/[a]"]
)
def test_what_is_written_in_the_usual_way_stays(path):
    assert spell_plain(path) == path


@pytest.mark.parametrize(
    ("path", "plain"),
    [
        ("/%61", "/a"),
        ("/user%40mail.com", "/user@mail.com"),
        ("/12%3A30%2Cc%2B%2B%28%27", "/12:30,c++('"),
        ("/a%20[1]", "/a%20%5B1%5D"),
        ("/caf%c3%a9", "/caf%C3%A9"),
        ("/caf\xc3\xa9", "/caf%C3%A9"),
        ("/%7Ea%3Bx", "/~a;x"),
        ("/%2E%2E/a", "/../a"),
        ("/%zz", "/%25zz"),
        ("/100%", "/100%25"),
    ],
)
def test_other_spellings_are_one(path, plain):
    assert spell_plain(path) == plain
    assert decode_path(path) == decode_path(plain)


@pytest.mark.parametrize("path", ["/a%2Fb", "/a%2fb", "/%FF", "/\xe9"])
def test_what_can_t_be_spelled_for_both_sides_is_not(path):
    assert spell_plain(path) is None


@pytest.mark.parametrize("path", ["/", "/a", "/a/", "/a-b_c.svg", "/<int:id>", "/<a>/<path:b>", "/é"])
def test_a_path_with_converters_is_flask_s(path):
    assert is_flask_style(path)
    assert is_flask_style('/<regex("[a-z]+"):name>')


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        ".*",
        "/a$",
        r"/a\.b",
        "/(.*)",
        "/(?P<name>a)",
        "/a?",
        "/[ab]",
        "/a|b",
        "a",
        "/a{2}",
        "//a",
        "/a%20b",
    ],
)
def test_all_else_is_a_regular_expression(pattern):
    assert not is_flask_style(pattern)


@pytest.mark.parametrize("pattern", ["/<int:id>(.*)", "/<a>/\\d+", "<a>$", "/<a>$"])
def test_half_and_half_is_refused(pattern):
    with pytest.raises(ConfigurationError, match="mixes <converters>"):
        is_flask_style(pattern)
    with pytest.raises(ConfigurationError, match="'<a>' does not begin with a slash"):
        is_flask_style("<a>")
