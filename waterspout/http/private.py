"""Tornado's private names that our server cannot do without. All of them stand here.

Read in Tornado 6.6.1; `tests/waterspout/http/test_private.py` fails when one of them changes.
"""

from __future__ import annotations

import socket
from typing import Any

from tornado.http1connection import _GzipMessageDelegate
from tornado.httpserver import _HTTPRequestContext
from tornado.httputil import HTTPHeaders, _normalize_header

GzipMessageDelegate = _GzipMessageDelegate
normalize_header = _normalize_header


class RequestContext(_HTTPRequestContext):
    """What `HTTPConnection.context` is: who the client is. The adapter for `xheaders` rewrites it.

    Attributes: `address`, `address_family`, `remote_ip`, `protocol` ("http" or "https"),
    `trusted_downstream`; `is_secure`, whether the connection itself is; `local_address`, where the client
    came in, as far as it is known.
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


class RequestHeaders(HTTPHeaders):
    """`HTTPHeaders` of fields that the parser has judged: built when first looked at, without a second
    judgement.

    `fields`: (name, value) in the order and case in which they came; what a caller changes is not in it.
    """

    def __init__(self, fields: list[tuple[str, str]]) -> None:
        # Not super().__init__: it adds field by field. `_as_list` and `_combined_cache` come on demand.
        self.fields = fields

    def __getattr__(self, name: str) -> Any:
        if name not in ("_as_list", "_combined_cache"):
            raise AttributeError(name)
        self._combined_cache: dict[str, str] = {}
        self._as_list: dict[str, list[str]] = {}
        for field, value in self.fields:
            key = normalize_header(field)
            if key in self._as_list:
                self._as_list[key].append(value)
            else:
                self._as_list[key] = [value]
        return getattr(self, name)
