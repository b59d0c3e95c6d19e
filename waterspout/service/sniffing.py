"""What a file is, told by what is in it: its name and what the browser says of it prove nothing. Leaf."""

from __future__ import annotations

import codecs
import re
from typing import IO

CHUNK = 64 * 1024

# By how they begin (WHATWG MIME Sniffing, section 6). No SVG, HTML or archive: they can hold programs.
SIGNATURES = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png"),
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"GIF8[79]a"), "image/gif"),
    (re.compile(rb"RIFF....WEBPVP", re.DOTALL), "image/webp"),
    (re.compile(rb"%PDF-"), "application/pdf"),
)
TEXT = "text/plain"
ALLOWED = "PNG, JPEG, GIF, WebP, PDF and plain text"

# What no text holds. Escape is left in: logs have colours.
BINARY = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]")


def sniff(file: IO[bytes]) -> str | None:
    """Return the media type of a file that is allowed, or None. It is read from its beginning."""
    file.seek(0)
    head = file.read(CHUNK)
    for signature, media_type in SIGNATURES:
        if signature.match(head):
            return media_type
    file.seek(0)
    return TEXT if is_text(file) else None


def is_text(file: IO[bytes]) -> bool:
    """Whether all of the rest is UTF-8 without control characters, and not nothing."""
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
