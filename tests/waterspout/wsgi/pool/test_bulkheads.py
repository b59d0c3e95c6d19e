"""Which pool a path belongs to, and what is not a rule."""

import pytest

from tests.waterspout.wsgi.heads import make_head
from waterspout.exceptions import ConfigurationError
from waterspout.wsgi.pool.bulkheads import MAIN, NamedPool, PoolRules, compile_pattern, parse_pool
from waterspout.wsgi.worker.environ import build_environ

# --- patterns ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "paths"),
    [
        ("/export", ["/export", "/export/", "/export/a/b"]),
        ("/export/", ["/export/", "/export/a"]),
        ("/", ["/", "/a", "//"]),
        ("/reports/*", ["/reports/", "/reports/a", "/reports/a/b", "/reports/\n"]),
        ("/*", ["/", "/a"]),
        ("/*/export", ["/a/export", "/a/b/export", "//export"]),
        ("/a*b*c", ["/abc", "/a1b2c", "/abbcc", "/abcbc"]),
        ("/a*ab", ["/aab", "/a-ab"]),
        ("/**", ["/", "/x"]),
        ("/grün", ["/gr\u00c3\u00bcn", "/gr\u00c3\u00bcn/x"]),
    ],
)
def test_a_pattern_matches(pattern, paths):
    matches = compile_pattern(pattern)
    assert [path for path in paths if not matches(path)] == []


@pytest.mark.parametrize(
    ("pattern", "paths"),
    [
        ("/export", ["/exports", "/EXPORT", "/expor", "//export", "export", "", "*", "/x/export"]),
        ("/export/", ["/export"]),
        ("/reports/*", ["/reports", "//reports/a", "/report/a", "*"]),
        ("/*/export", ["/export", "/a/exports", "/export/"]),
        ("/a*b*c", ["/acb", "/a", "/c", "/ab", "x/abc"]),
        ("/a*ab", ["/ab"]),
        ("/grün", ["/gr\u00fcn", "/grun"]),
    ],
)
def test_a_pattern_does_not_match(pattern, paths):
    matches = compile_pattern(pattern)
    assert [path for path in paths if matches(path)] == []


@pytest.mark.parametrize(
    ("pattern", "word"),
    [
        ("", "begin with /"),
        ("reports", "begin with /"),
        ("*", "begin with /"),
        (None, "begin with /"),
        ("/%72eports", "decoded"),
        ("/a?b", "query"),
        ("/a#b", "query"),
        ("/a\nb", "non-printable"),
        ("/a,b", "comma"),
    ],
)
def test_what_is_no_pattern_is_refused(pattern, word):
    with pytest.raises(ConfigurationError, match=word):
        compile_pattern(pattern)


def test_no_pattern_makes_a_path_costly():
    matches = compile_pattern("/" + "*a" * 50 + "*b")
    assert not matches("/" + "a" * 8000)


# --- rules ---------------------------------------------------------------------------------------------

RULES = PoolRules(
    [("/reports/quick", MAIN), ("/reports/*", "reports"), ("/export", "reports"), ("/pay", "pay")],
    ["reports", "pay"],
)


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("/", MAIN),
        ("*", MAIN),
        ("/reports/a", "reports"),
        ("/reports/a?b=/pay", "reports"),
        ("/reports/quick", MAIN),
        ("/export", "reports"),
        ("/exports", MAIN),
        ("/pay/1", "pay"),
        ("/?/reports/a", MAIN),
        ("/%72eports/a", "reports"),
        ("/reports%2Fa", "reports"),
        ("/%2572eports/a", MAIN),
        ("http://host/reports/a", "reports"),
        ("http://host/%72eports/a", "reports"),
        ("http://host?/reports/a", MAIN),
        ("/reports/%", "reports"),
        ("/reports/%zz", "reports"),
        ("//reports/a", "reports"),
        ("///reports/a", "reports"),
        ("http://host//reports/a", "reports"),
        ("/reports//a", "reports"),
    ],
)
def test_the_path_that_the_app_sees_decides(target, name):
    assert RULES.find(target) == name


@pytest.mark.parametrize("target", ["/reports/a", "/%72eports/a", "/reports%2fa", "/h//%2e/reports/a", "/r%"])
def test_it_is_the_path_that_the_app_sees(target):
    """What decides and what the app is told come from one function."""
    seen = []
    rules = PoolRules([("/*", "all")], ["all"])
    rules._rules = [(seen.append, "all")]
    rules.find(target)
    environ = build_environ(
        make_head(target=target), None, None, multithread=True, multiprocess=False, file_wrapper=None
    )
    assert seen == [environ["PATH_INFO"]]


@pytest.mark.parametrize(
    ("rules", "names", "word"),
    [
        ([("/a", "reports")], [], r"'reports', which does not exist \(known: only main\)"),
        ([("/a", "report")], ["reports"], r"'report', which does not exist \(known: reports\)"),
        ([], ["reports"], "no rule sends requests to pool 'reports'"),
        (["/a"], [], "pattern, name"),
        ([("/a", "b", "c")], [], "pattern, name"),
        ([("a", "b")], ["b"], "begin with /"),
    ],
)
def test_rules_that_can_t_be_are_refused(rules, names, word):
    with pytest.raises(ConfigurationError, match=word):
        PoolRules(rules, names)


# --- the command line ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "pool"),
    [
        ("reports:/reports/*,/export:1x4", NamedPool("reports", ("/reports/*", "/export"), 1, 4)),
        (" a-b_1 : /a , /b : 0x16 ".replace(" :", ":"), NamedPool("a-b_1", ("/a", "/b"), 0, 16)),
        ("x:/a:b:2x1", NamedPool("x", ("/a:b",), 2, 1)),
    ],
)
def test_a_pool_is_read(text, pool):
    assert parse_pool(text) == pool


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "NAME:PATHS:WORKERSxTHREADS"),
        ("reports", "NAME:PATHS:WORKERSxTHREADS"),
        ("reports:1x4", "NAME:PATHS:WORKERSxTHREADS"),
        ("reports:/a", "NAME:PATHS:WORKERSxTHREADS"),
        ("reports:/a:4", "WORKERSxTHREADS"),
        ("reports:/a:x4", "WORKERSxTHREADS"),
        ("reports:/a:1x", "WORKERSxTHREADS"),
        ("reports:/a:-1x4", "WORKERSxTHREADS"),
        ("reports:/a:1x4x2", "WORKERSxTHREADS"),
        ("reports:/a:1x0", "at least one thread"),
        ("reports::1x4", "begin with /"),
        ("reports:/a,:1x4", "begin with /"),
        ("reports:a:1x4", "begin with /"),
        ("main:/a:1x4", "choose another name"),
        (":/a:1x4", "not a pool name"),
        ("re ports:/a:1x4", "not a pool name"),
        ("r" * 33 + ":/a:1x4", "not a pool name"),
    ],
)
def test_what_is_no_pool_is_refused(text, word):
    with pytest.raises(ConfigurationError, match=word):
        parse_pool(text)
