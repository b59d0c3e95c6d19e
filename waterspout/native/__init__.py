"""Base classes for native handlers: Tornado's interface, with less work for each request."""

from __future__ import annotations

from waterspout.native.handler import RequestHandler

__all__ = ["RequestHandler"]
