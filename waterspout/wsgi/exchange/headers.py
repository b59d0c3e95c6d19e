"""Reply headers as the app wrote them. Leaf."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from tornado.httputil import HTTPHeaders

from waterspout.wsgi.frames import Headers


class WireHeaders(HTTPHeaders):
    """`HTTPHeaders` that keeps the case and the order it was given.

    Tornado's own capitalises names (`ETag` becomes `Etag`), and clients read metadata from them. Servers
    use only what is overridden here. Values are not checked again: `worker/fields.py` has done it.
    """

    def __init__(self, pairs: Headers) -> None:
        super().__init__()
        self._pairs = list(pairs)
        self._names = {name.lower() for name, _ in pairs}

    def get_all(self) -> Iterable[tuple[str, str]]:
        return iter(self._pairs)

    def get_list(self, name: str) -> list[str]:
        wanted = name.lower()
        return [value for found, value in self._pairs if found.lower() == wanted]

    def add(self, name: str, value: str, **_: Any) -> None:
        self._pairs.append((name, value))
        self._names.add(name.lower())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._names

    def __getitem__(self, name: str) -> str:
        values = self.get_list(name)
        if not values:
            raise KeyError(name)
        return ",".join(values)

    def __setitem__(self, name: str, value: str) -> None:
        if name in self:
            del self[name]
        self.add(name, value)

    def __delitem__(self, name: str) -> None:
        if name not in self:
            raise KeyError(name)
        self._names.discard(name.lower())
        self._pairs = [pair for pair in self._pairs if pair[0].lower() != name.lower()]

    def __iter__(self) -> Iterator[str]:
        seen: dict[str, str] = {}
        for name, _ in self._pairs:
            seen.setdefault(name.lower(), name)
        return iter(seen.values())

    def __len__(self) -> int:
        return len(self._names)

    def copy(self) -> WireHeaders:
        return WireHeaders(self._pairs)

    __copy__ = copy
