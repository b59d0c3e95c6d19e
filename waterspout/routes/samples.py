"""Sample URLs: paths that a rule matches, made from the rule's text. Pure.

Rules are not judged by reading them, but by trying samples on the matchers. So each sample is checked against
the rule's own converter or pattern, and there are several for each variable part.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property

# The one parser of regular expressions that reads them as `re` does; private, so without types.
from re import _constants as codes  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any, Final
from urllib.parse import quote

from werkzeug.routing import BaseConverter

from waterspout.routing.paths import PLAIN

#: Tried in every variable part: numbers, words, with a dot, with slashes, long, in another script.
WORDS: Final = (
    *(
        "1",
        "new",
        "42",
        "007",
        "1234",
        "123456",
        "20240131",
        "1" + "0" * 24,
        "a",
        "some-name",
        "x.y",
        "1.5",
        "-1",
        "-1.5",
    ),
    *("2024-01-31", "8f14e45f-ceea-467f-a0e6-a3d1f1d0ac3b", "long-" * 12 + "name", "Ü b", "_", "en"),
    *("a/b", "a/b/c.txt", "a/"),
)
_CHARACTERS: Final = "1aAz0Z-_.~ é/"
#: At most so many alternatives for one variable part; and samples of one rule.
_ALTERNATIVES: Final = 100
_SAMPLES: Final = 300
_ARGUMENT: Final = re.compile(r"<([^<>]+)>")


def sample_regex(pattern: str, flags: int = 0, words: Iterable[str] = ()) -> list[str]:
    """Texts that `pattern` matches at their beginning; an empty list if it can't be parsed."""
    try:
        compiled = re.compile(pattern, flags)
        tree = _parser.parse(pattern, flags)
    except (re.error, RecursionError):
        return []
    texts = _vary([_spell(node, (*WORDS, *words)) for node in tree])
    return [text for text in dict.fromkeys(texts) if compiled.match(text)][:_SAMPLES]


def _vary(places: Sequence[Sequence[str]]) -> Iterator[str]:
    """Each place's alternatives with the first and second ones of the others: not every combination."""
    if not all(places):
        return
    for base in (0, 1):
        usual = [place[min(base, len(place) - 1)] for place in places]
        yield "".join(usual)
        for number, place in enumerate(places):
            for text in place[:_ALTERNATIVES]:
                yield "".join([*usual[:number], text, *usual[number + 1 :]])


def _spell(node: tuple[Any, Any], words: Sequence[str]) -> list[str]:
    """Texts for one node of a pattern's tree."""
    code, value = node
    if code is codes.LITERAL:
        return [chr(value)]
    if code in (codes.IN, codes.ANY, codes.NOT_LITERAL):
        return [character for character in _find_characters(code, value) if _holds(code, value, character)]
    if code is codes.BRANCH:
        return [text for branch in value[1] for text in _spell_all(branch, words)]
    if code is codes.SUBPATTERN:
        return _spell_all(value[3], words)
    if code is codes.ATOMIC_GROUP:
        return _spell_all(value, words)
    if code in (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT):
        return _repeat(value, words)
    return [""]  # an anchor, a lookaround, a reference: checked when the whole text is matched


def _spell_all(nodes: Any, words: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(_vary([_spell(node, words) for node in nodes])))[:_ALTERNATIVES] or [""]


def _repeat(repeated: tuple[int, int, Any], words: Sequence[str]) -> list[str]:
    """Words, if one kind of character is repeated; and the repeated text, a few times."""
    least, most, nodes = repeated
    found: list[str] = []
    if len(nodes) == 1 and nodes[0][0] in (codes.IN, codes.ANY, codes.NOT_LITERAL):
        code, value = nodes[0]
        found = [
            word
            for word in words
            if least <= len(word) <= most and all(_holds(code, value, character) for character in word)
        ]
    counts = sorted({least, min(max(1, least), most), min(least + 2, most)})
    found += [text * count for count in reversed(counts) for text in _spell_all(nodes, words)[:4]]
    return list(dict.fromkeys(found))[:_ALTERNATIVES]


def _find_characters(code: Any, value: Any) -> list[str]:
    """Candidates: those that are named, and some of each kind."""
    named: list[str] = []
    for kind, what in value if code is codes.IN else []:
        if kind is codes.LITERAL:
            named.append(chr(what))
        elif kind is codes.RANGE:
            named += [chr(what[0]), chr(what[1])]
    return [*named, *_CHARACTERS]


def _holds(code: Any, value: Any, character: str) -> bool:
    """Whether a set of characters holds one."""
    if code is codes.ANY:
        return character != "\n"
    if code is codes.NOT_LITERAL:
        return bool(ord(character) != value)
    negated = bool(value) and value[0][0] is codes.NEGATE
    return negated != any(_is_of(kind, what, character) for kind, what in value)


_CATEGORIES: Final = {
    codes.CATEGORY_DIGIT: r"\d",
    codes.CATEGORY_NOT_DIGIT: r"\D",
    codes.CATEGORY_SPACE: r"\s",
    codes.CATEGORY_NOT_SPACE: r"\S",
    codes.CATEGORY_WORD: r"\w",
    codes.CATEGORY_NOT_WORD: r"\W",
}


def _is_of(kind: Any, what: Any, character: str) -> bool:
    if kind is codes.LITERAL:
        return bool(ord(character) == what)
    if kind is codes.RANGE:
        return bool(what[0] <= ord(character) <= what[1])
    return kind is codes.CATEGORY and re.match(_CATEGORIES[what], character) is not None


class Shape:
    """Makes samples of a path written Flask's way, with `converters` by the names of its arguments."""

    def __init__(self, path: str, converters: Mapping[str, BaseConverter]) -> None:
        self._converters = converters
        self._places = _ARGUMENT.split(path)  # texts, and between them arguments
        # A slash in a converter's own arguments does not separate segments.
        hidden = _ARGUMENT.sub(lambda match: match[0].replace("/", "\0"), path)
        self.segments = [part.replace("\0", "/") for part in hidden.split("/")]

    def spell(self, words: Sequence[str] = ()) -> list[str]:
        """Sample paths as they are on the wire; `words` are tried as arguments, too."""
        return [quote_path(text) for text in self._spell(words)]

    def _spell(self, words: Sequence[str] = ()) -> list[str]:
        places = [
            self._find_values(text, words) if number % 2 else [text]
            for number, text in enumerate(self._places)
        ]
        return list(dict.fromkeys(_vary(places)))[:_SAMPLES]

    def _find_values(self, argument: str, words: Sequence[str]) -> list[str]:
        converter = self._find_converter(argument)
        candidates = [*_find_bounds(converter), *WORDS, *sample_regex(converter.regex), *words]
        return [text for text in dict.fromkeys(candidates) if _converts(converter, text)]

    def _find_converter(self, argument: str) -> BaseConverter:
        return self._converters[argument.rpartition(":")[2].strip()]

    @cached_property
    def texts(self) -> list[list[str]]:
        """For each segment, the texts that may stand there."""
        return [Shape(part, self._converters)._spell() if "<" in part else [part] for part in self.segments]

    def takes(self, number: int, text: str) -> bool:
        """Whether `text` can be the segment of that number."""
        part = self.segments[number]
        whole = _ARGUMENT.fullmatch(part)
        if whole is not None:
            return _converts(self._find_converter(whole[1]), text)
        return text in self.texts[number] if "<" in part else text == part


def _find_bounds(converter: BaseConverter) -> list[str]:
    """The smallest and the largest number that a converter takes."""
    digits = getattr(converter, "fixed_digits", 0) or 0
    bounds = [getattr(converter, name, None) for name in ("min", "max")]
    numbers = [number for number in bounds if isinstance(number, (int, float))]
    return [str(number).zfill(digits) for number in numbers]


def _converts(converter: BaseConverter, text: str) -> bool:
    if re.fullmatch(converter.regex, text) is None or (converter.part_isolating and "/" in text):
        return False
    try:
        converter.to_python(text)
    except Exception:  # ValidationError; whatever else a custom one raises is no match either
        return False
    return True


def unite(one: Shape, other: Shape) -> list[str]:
    """Paths that both may match, even if each has constants for variable parts of the other: `/<a>/new` and
    `/de/<b>` meet in `/de/new`.
    """
    if len(one.segments) != len(other.segments):
        return []
    chosen: list[list[str]] = []
    for number, (ours, theirs) in enumerate(zip(one.segments, other.segments, strict=True)):
        if "<" not in ours:
            texts = [ours] if other.takes(number, ours) else []
        elif "<" not in theirs:
            texts = [theirs] if one.takes(number, theirs) else []
        else:
            texts = [text for text in one.texts[number] if other.takes(number, text)][:3]
        if not texts:
            return []
        chosen.append(texts)
    return [quote_path("/".join(texts)) for texts in _combine(chosen)]


def _combine(places: Sequence[Sequence[str]]) -> list[list[str]]:
    return [[place[min(number, len(place) - 1)] for place in places] for number in range(3)]


def quote_path(text: str) -> str:
    """A decoded path as it is on the wire."""
    return quote(text, safe=PLAIN)
