"""Replies that are the same for everybody: made once for all, and not resent to clients that have them."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from waterspout.exceptions import ConfigurationError
from waterspout.native.cache import Cache
from waterspout.native.json_handler import JSONHandler

# Everything that is not a Char in XML 1.0, section 2.2: listed so, it compiles in a tenth of the time.
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class Document:
    """A body, its Content-Type, and a strong ETag (RFC 9110, section 8.8.3)."""

    body: bytes
    content_type: str
    etag: str

    @classmethod
    def of(cls, text: str, media_type: str) -> Self:
        """`media_type` comes without parameters: the charset, UTF-8, is added."""
        body = text.encode()
        return cls(body, f"{media_type}; charset=UTF-8", f'"{hashlib.sha256(body).hexdigest()[:32]}"')

    @classmethod
    def of_xml(cls, text: str, media_type: str) -> Self:
        """Characters that XML can't hold, not even escaped, become replacement characters."""
        return cls.of(_NOT_XML.sub("\ufffd", text), media_type)

    @classmethod
    def of_json(cls, value: Any) -> Self:
        """Raises what `json.dumps` raises."""
        return cls.of(json.dumps(value), "application/json")


class DocumentHandler(JSONHandler):
    """Answers with documents: `await self.send_document(key, make)`; 304 to clients that have it already.

    Application setting: `documents`, a `Cache` of them; its lifetime is how old a reply may be.
    """

    # Any site's page may show a document: all get the same, so it holds no secret. None: only our own.
    allowed_origin: ClassVar[str | None] = "*"
    # How long browsers and proxies need not ask again (seconds).
    max_age: ClassVar[int] = 1

    async def send_document(self, key: Hashable, make: Callable[[], Awaitable[Document]]) -> None:
        """Send the key's document, made if none is kept.

        Raises what `make` raises; ConfigurationError: the setting is missing.
        """
        documents: Cache[Document] | None = self.settings.get("documents")
        if documents is None:
            raise ConfigurationError(
                "a DocumentHandler needs the setting documents=waterspout.native.Cache(...)"
            )
        document = await documents.get(key, make)
        self.set_header("Content-Type", document.content_type)
        self.set_header("Cache-Control", f"public, max-age={self.max_age}")
        if self.allowed_origin is not None:
            self.set_header("Access-Control-Allow-Origin", self.allowed_origin)
        self.set_header("Etag", document.etag)
        if self.check_etag_header():
            self.set_status(304)
        else:
            self.write(document.body)
