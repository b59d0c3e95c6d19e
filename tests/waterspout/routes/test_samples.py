"""Samples match what they are samples of, and there are enough kinds of them."""

import re
from urllib.parse import unquote

import pytest
from werkzeug.routing import BaseConverter, Map, Rule

from waterspout.routes.samples import Shape, sample_regex, unite


class Hex(BaseConverter):
    regex = "0x[0-9a-f]{2,4}"

    def to_python(self, value):
        return int(value, 16)


class Even(BaseConverter):
    regex = r"\d+"

    def to_python(self, value):
        if int(value) % 2:
            raise ValueError(value)
        return int(value)


class Nothing(BaseConverter):
    regex = "(?!)"


CONVERTERS = {"hex": Hex, "even": Even, "nothing": Nothing}


def make_shape(path):
    made = Rule(path, endpoint="it")
    url_map = Map([made], converters=CONVERTERS, merge_slashes=False)
    return Shape(path, made._converters), url_map.bind("localhost")


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/",
            "/items/new",
            "/items/<id>",
            "/<int:year>/<int:month>",
            "/<float:x>",
            "/<uuid:id>",
            "/f/<path:p>",
        ),
        *("/<any(red, green):colour>", "/<string(length=3):code>", "/<string(minlength=2,maxlength=4):s>"),
        *("/<int(fixed_digits=4):year>", "/<int(min=700,max=702):n>", "/<int(signed=True):n>/x"),
        *("/<hex:n>", "/<even:n>", "/<name>.json", "/v<int:major>.<int:minor>/", '/<any("a/b", c):x>/y'),
    ],
)
def test_each_sample_is_matched_by_its_rule(path):
    shape, adapter = make_shape(path)
    samples = shape.spell(("new", "a/new", "0xff"))
    assert samples
    for sample in samples:
        assert sample.isascii()
        assert adapter.match(unquote(sample))[0] == "it"


def test_texts_vary_in_what_matters():
    samples = set(make_shape("/items/<id>")[0].spell(("planted",)))
    assert {"/items/1", "/items/new", "/items/x.y", "/items/planted", "/items/%C3%9C%20b"} <= samples
    assert any(len(sample) > 60 for sample in samples)
    assert "/f/a/b/c.txt" in make_shape("/f/<path:p>")[0].spell()


def test_what_nothing_matches_has_no_samples():
    assert make_shape("/a/<nothing:x>")[0].spell() == []


@pytest.mark.parametrize(
    "pattern",
    [
        *(r"/healthz$", r"/items/([0-9]{1,19})$", r"/(?P<slug>[\w-]+)/edit", r"/files/(.*)", r"/[^/]+/x"),
        *(
            r"/(red|green)/?",
            r"(?i)/About",
            r"/a{3}",
            r"/\d{4}-\d\d",
            r"^/b\.(json|xml)$",
            r"/(?:v1|v2)/(?!x)\w+",
        ),
        *(r".*", r"/[a-f0-9]{8}(-[a-f0-9]{4}){3}-[a-f0-9]{12}", r"/\S+\s?"),
    ],
)
def test_each_sample_is_matched_by_its_pattern(pattern):
    samples = sample_regex(pattern)
    assert samples
    assert all(re.match(pattern, sample) for sample in samples)


@pytest.mark.parametrize("pattern", ["(?!)", "(", r"/([ab])\1"])
def test_a_pattern_that_is_beyond_it_has_none(pattern):
    assert sample_regex(pattern) == []


@pytest.mark.parametrize(
    ("one", "other", "met"),
    [
        ("/<a>/new", "/de/<b>", "/de/new"),
        ("/<int:a>/new", "/de/<b>", None),
        ("/<lang>/x/<b>", "/de/<any(x, y):z>/7", "/de/x/7"),
        ("/a/<b>", "/a", None),
        ("/<a>.json", "/data.<ending>", None),
    ],
)
def test_where_two_rules_meet(one, other, met):
    found = unite(make_shape(one)[0], make_shape(other)[0])
    assert (met in found) if met else found == []


def test_where_both_vary_a_value_of_both_is_found():
    (first, *_) = unite(make_shape("/<a>/<int:b>")[0], make_shape("/<path:p>/<hex:c>")[0]) or [None]
    assert first is None  # nothing matches both converters
    (first, *_) = unite(make_shape("/<a>/<int:b>")[0], make_shape("/<x>/<even:c>")[0])
    assert int(first.rpartition("/")[2]) % 2 == 0
