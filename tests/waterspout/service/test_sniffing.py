import io

import pytest

from waterspout.service.sniffing import CHUNK, sniff

PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 20


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a;", "image/gif"),
        (b"RIFF\n\x00\x00\x00WEBPVP8 ", "image/webp"),
        (b"%PDF-1.7\n", "application/pdf"),
        (b"GET / 200\n\x1b[31mred\x1b[0m\ttab\r\n", "text/plain"),
        ("Wir prüfen. 🌪".encode(), "text/plain"),
        (b"x" * (CHUNK - 1) + "é".encode(), "text/plain"),
    ],
)
def test_what_is_taken(content, media_type):
    file = io.BytesIO(content)
    file.read()
    assert sniff(file) == media_type


@pytest.mark.parametrize(
    "content",
    [
        *[b"", b"MZ\x90\x00", b"\x7fELF", b"PK\x03\x04", b"\x1f\x8b\x08", b"\x00", b"\xff\xfeU\x00", b"\xe9"],
        *[
            b"x" * CHUNK + b"\x00",
            b"x" * CHUNK + b"\xc3",
            b"RIFF\n\x00\x00\x00WAVEfmt ",
            b" \x89PNG\r\n\x1a\n",
        ],
    ],
)
def test_what_is_not(content):
    assert sniff(io.BytesIO(content)) is None


PROGRAMS = [b"<svg onload=alert(1)>", b"<script>alert(1)</script>", b"<!doctype html>"]


@pytest.mark.parametrize("content", PROGRAMS)
def test_programs_in_text_are_text(content):
    """It is sent as text, to be saved, and with `nosniff`."""
    assert sniff(io.BytesIO(content)) == "text/plain"
