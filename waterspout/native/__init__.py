"""Base classes for native handlers: Tornado's interface, with less work for each request.

`waterspout.native.live` has those of streams, sockets and long-polls; docs/native.md shows all at work.
"""

from __future__ import annotations

from waterspout.native.cache import Cache
from waterspout.native.document import Document, DocumentHandler
from waterspout.native.handler import RequestHandler
from waterspout.native.json_handler import JSONErrors, JSONHandler

__all__ = ["Cache", "Document", "DocumentHandler", "JSONErrors", "JSONHandler", "RequestHandler"]
