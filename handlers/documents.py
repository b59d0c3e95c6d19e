"""A reply that is the same for everybody."""

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any, Self

# The shared cache keeps a document this long: a crowd costs one query a second.
DOCUMENT_LIFETIME = 1.0

# One for each incident that somebody looks at, each badge, each name that the board is called by.
DOCUMENTS_KEPT = 256

# What is no Char in XML 1.0, section 2.2.
NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Document:
    body: bytes
    media_type: str
    etag: str

    @classmethod
    def of(cls, text: str, media_type: str) -> Self:
        body = text.encode()
        return cls(body, media_type, f'"{hashlib.sha256(body).hexdigest()[:32]}"')

    @classmethod
    def of_xml(cls, text: str, media_type: str) -> Self:
        """What XML can't say at all, not even escaped, becomes a replacement character."""
        return cls.of(NOT_XML.sub("\ufffd", text), f"{media_type}; charset=UTF-8")

    @classmethod
    def of_json(cls, value: Any) -> Self:
        return cls.of(json.dumps(value), "application/json; charset=UTF-8")
