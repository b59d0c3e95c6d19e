"""All of Tornado's private names that our server cannot do without.

As of Tornado 6.6.1; `tests/waterspout/http/test_private.py` fails when one of them changes.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final

from tornado import httputil
from tornado.http1connection import HTTP1Connection, _GzipMessageDelegate
from tornado.httpserver import _CallableAdapter, _HTTPRequestContext
from tornado.httputil import HTTPHeaders, _normalize_header

#: Gives a function the request with its body. Attributes: `connection`, read when the head comes, `request`,
#: made then, and `request_callback`, the function (a router's: a partial, with what the path gives it).
CallableDelegate = _CallableAdapter
GzipMessageDelegate = _GzipMessageDelegate
normalize_header = _normalize_header


def max_arguments() -> int:
    """How many arguments a query may have; `tornado.httputil.set_parse_body_config` changes it."""
    return int(httputil._DEFAULT_PARSE_BODY_CONFIG.urlencoded.max_arguments)


def is_all_sent(connection: HTTP1Connection) -> bool:
    """Whether a connection of Tornado's own server has been given everything that its reply's head promises;
    False if the head gives no length.
    """
    return connection._expected_content_remaining == 0


class RequestContext(_HTTPRequestContext):
    """The value of `HTTPConnection.context`: who the client is. The adapter for `xheaders` rewrites it.

    Attributes: `address`, `address_family`, `remote_ip`, `protocol` ("http" or "https"),
    `trusted_downstream`; `is_secure`, whether the connection itself is; `ends`, both ends of the connection,
    once `message/proxies.py` has found them.
    """

    def __init__(
        self, address: Any, family: int | None, protocol: str, is_secure: bool, trusted: frozenset[str]
    ) -> None:
        # Not super().__init__: it wants an IOStream, and there is none.
        self.address = address
        self.address_family: Any = family
        is_internet = family in (socket.AF_INET, socket.AF_INET6) and address
        self.remote_ip: Any = address[0] if is_internet else "0.0.0.0"
        self.protocol = protocol
        self.is_secure = is_secure
        self._orig_remote_ip = self.remote_ip
        self._orig_protocol = protocol
        self.trusted_downstream: Any = trusted

    @property
    def is_nobody(self) -> bool:
        """The peer had reset its connection before it was accepted: its address is unknown."""
        return not self.address and self.address_family in (socket.AF_INET, socket.AF_INET6)


#: Clients use few names, in few spellings.
_share_known: Final = lru_cache(maxsize=1024)(str)


def _share(name: str) -> str:
    return _share_known(name) if len(name) <= 64 else name


class RequestHeaders(HTTPHeaders):
    """`HTTPHeaders` of fields from the parser: not validated again, and sorted only when needed.

    `fields`: (name, value) in the order and case received; `names`: lower-case name -> value.
    Neither is ever changed: requests of one connection share them.
    """

    #: The whole head of the request has been checked, its Host too.
    judged = True

    def __init__(self, fields: list[tuple[str, str]], names: dict[str, str]) -> None:
        # Not super().__init__: it adds field by field. `_as_list` and `_combined_cache` are made on demand.
        self.fields = fields
        # As long as no name came twice and nothing is changed, the parser's own table is used.
        self._names: dict[str, str] | None = names if len(names) == len(fields) else None

    def get(self, name: str, default: Any = None) -> Any:
        if self._names is not None:
            return self._names.get(name.lower(), default)
        return super().get(name, default)

    def __delitem__(self, name: str) -> None:
        key = name.lower()
        if self._names is not None and key in self._names:
            self._names = {other: value for other, value in self._names.items() if other != key}
            self.fields = [field for field in self.fields if field[0].lower() != key]
        else:
            super().__delitem__(name)

    def __contains__(self, name: object) -> bool:
        if self._names is not None:
            return isinstance(name, str) and name.lower() in self._names
        return super().__contains__(name)

    def __getitem__(self, name: str) -> str:
        if self._names is not None:
            return self._names[name.lower()]
        return super().__getitem__(name)

    def get_all(self) -> Iterable[tuple[str, str]]:
        """All (name, value), with Tornado's capitals."""
        if self._names is None:
            return super().get_all()
        return ((normalize_header(name), value) for name, value in self.fields)

    def __setitem__(self, name: str, value: str) -> None:
        if self._names is None:
            super().__setitem__(name, value)
        elif name.lower() not in self._names:
            self._names = {**self._names, name.lower(): value}
            self.fields = [*self.fields, (name, value)]
        elif self._names[name.lower()] != value:
            super().__setitem__(name, value)

    def settle(self) -> dict[str, str] | None:
        """The headers will be kept, perhaps for days: share the strings of their names with others. Returns
        the table of them; None: some name came twice, or something has been changed.
        """
        if self._names is not None:
            self.fields = [(_share(name), value) for name, value in self.fields]
            self._names = {_share(name): value for name, value in self._names.items()}
        return self._names

    def __getattr__(self, name: str) -> Any:
        if name not in ("_as_list", "_combined_cache"):
            raise AttributeError(name)
        self._names = None
        self._combined_cache: dict[str, str] = {}
        self._as_list: dict[str, list[str]] = {}
        for field, value in self.fields:
            key = normalize_header(field)
            if key in self._as_list:
                self._as_list[key].append(value)
            else:
                self._as_list[key] = [value]
        return getattr(self, name)


@lru_cache(maxsize=1000)
def _check_name(name: str) -> str:
    """`name` in Tornado's capitals. Raises HTTPInputError."""
    HTTPHeaders().add(name, "")
    return normalize_header(name)


class ReplyHeaders(HTTPHeaders):
    """`HTTPHeaders` of a handler's reply: a plain dictionary, as long as that is enough.

    Attributes: `plain`, name in Tornado's capitals -> value; None, when a name has had two values.
    """

    def __init__(self, plain: dict[str, str]) -> None:
        """`plain` becomes the object's own."""
        # Not super().__init__: it goes through `update`. `_as_list` and `_combined_cache` are made on demand.
        self.plain: dict[str, str] | None = plain

    def __contains__(self, name: object) -> bool:
        if self.plain is None:
            return super().__contains__(name)
        return isinstance(name, str) and normalize_header(name) in self.plain

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name) if self.plain is None else self.plain[normalize_header(name)]

    def get(self, name: str, default: Any = None) -> Any:
        if self.plain is None:
            return super().get(name, default)
        return self.plain.get(normalize_header(name), default)

    def __setitem__(self, name: str, value: str) -> None:
        """Raises HTTPInputError, as `add` does: not a header name."""
        key = _check_name(name)
        if self.plain is None:
            super().__setitem__(key, value)
        else:
            self.plain[key] = value

    def __delitem__(self, name: str) -> None:
        if self.plain is None:
            super().__delitem__(name)
        else:
            del self.plain[normalize_header(name)]

    def get_all(self) -> Iterable[tuple[str, str]]:
        """All (name, value)."""
        return super().get_all() if self.plain is None else self.plain.items()

    def __getattr__(self, name: str) -> Any:
        if name not in ("_as_list", "_combined_cache"):
            raise AttributeError(name)
        plain, self.plain = self.plain, None
        self._as_list = {key: [value] for key, value in (plain or {}).items()}
        self._combined_cache = {}
        return getattr(self, name)
