"""The type of a file, by its content: its name and what the browser says about it prove nothing. Leaf."""

from __future__ import annotations

import codecs
import re
from typing import IO

CHUNK = 64 * 1024

# How they begin (WHATWG MIME Sniffing, section 6). No SVG, HTML or archives: they can contain programs.
SIGNATURES = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png"),
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"GIF8[79]a"), "image/gif"),
    (re.compile(rb"RIFF....WEBPVP", re.DOTALL), "image/webp"),
    (re.compile(rb"%PDF-"), "application/pdf"),
)
TEXT = "text/plain"
ALLOWED = "PNG, JPEG, GIF, WebP, PDF and plain text"

# Bytes that text doesn't contain. Escape is allowed: logs have colours.
BINARY = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]")


def sniff(file: IO[bytes]) -> str | None:
    """Return the file's media type if it is allowed, or None. The file is read from its beginning."""
    file.seek(0)
    head = file.read(CHUNK)
    for signature, media_type in SIGNATURES:
        if signature.match(head):
            return media_type
    file.seek(0)
    return TEXT if is_text(file) else None


def is_text(file: IO[bytes]) -> bool:
    """Whether the rest of the file is UTF-8 without control characters, and not empty."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    empty = True
    try:
        while chunk := file.read(CHUNK):
            empty = False
            if BINARY.search(chunk):
                return False
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return not empty
