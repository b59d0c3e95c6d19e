"""Attachments: uploaded by operators with an update, sent to everybody."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from os.path import splitext

from flask import Blueprint, abort, send_file
from werkzeug.datastructures import FileStorage
from werkzeug.wrappers import Response

from app.store import Refused
from app.store.rows import find
from app.store.tables import FILE_NAME_LENGTH, Attachment
from waterspout.service.folder import Folder
from waterspout.service.sniffing import ALLOWED, sniff
from wsgi_app.resources import current_settings, current_store

attachments = Blueprint("attachments", __name__)

# Room for a screenshot or a log, not for a video. All files of one update together.
FILES_SIZE = 10 * 1024 * 1024
FILES_EACH_UPDATE = 5

# Nothing in the file may run, load anything, or be framed, whatever a browser makes of it.
POLICY = "sandbox; default-src 'none'; frame-ancestors 'none'"
KEPT_FOR = 3600

# Letters with their marks, digits, and symbols such as emoji, in all scripts.
SAFE = frozenset({"Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "So"})

# For a name with nothing safe left in it.
NAMELESS = "file"

# File systems allow 255, and saving it twice needs room for " (1)".
FILE_NAME_BYTES = 240

# Windows device names, whatever follows the dot.
DEVICE = re.compile(r"(?:con|prn|aux|nul|(?:com|lpt)[0-9¹²³])(?:\.|$)", re.IGNORECASE)


@attachments.get("/attachments/<int:attachment_id>")
def send(attachment_id: int) -> Response:
    """Send the file as a download: never shown as a page of this site."""
    attachment = current_store().read(find, Attachment, attachment_id)
    try:
        response = send_file(
            folder().path / attachment.stored_as,
            mimetype=attachment.media_type,
            as_attachment=True,
            download_name=attachment.name,
            etag=attachment.sha256,
            max_age=KEPT_FOR,
        )
    except FileNotFoundError:
        abort(404, "This file is no longer there.")
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    return response


def folder() -> Folder:
    return Folder(current_settings().folder / "attachments")


@contextmanager
def stored(uploads: Sequence[FileStorage]) -> Iterator[list[Attachment]]:
    """Store the files while the body runs; if it raises, or one of them is refused, none is kept.

    Raises `Refused`: there are too many of them, or one is of a type that is not accepted.
    """
    if len(uploads) > FILES_EACH_UPDATE:
        raise Refused(f"Attach {FILES_EACH_UPDATE} files at most.", "files")
    files: list[Attachment] = []
    try:
        for upload in uploads:
            files.append(store_file(upload))
        yield files
    except BaseException:
        folder().remove(*(file.stored_as for file in files))
        raise


def store_file(upload: FileStorage) -> Attachment:
    """Store one file, and return its record; raises `Refused`."""
    media_type = sniff(upload.stream)
    name = safe_name(upload.filename or "")
    if media_type is None:
        raise Refused(f"{name} can't be attached: only {ALLOWED} are accepted.", "files")
    kept = folder().keep(upload.stream)
    return Attachment(
        name=name, media_type=media_type, size=kept.size, sha256=kept.sha256, stored_as=kept.name
    )


def safe_name(name: str) -> str:
    """Return the name that people see, and save the file as: no path, no control characters, not too long."""
    stem, ending = splitext(unicodedata.normalize("NFC", name))  # macOS separates letters and accents
    ending = keep_safe(ending)[:20].rstrip("._")
    stem = keep_safe(stem).strip("._") or NAMELESS
    if DEVICE.match(unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode()):
        stem = f"_{stem}"
    stem = stem[: FILE_NAME_LENGTH - len(ending)]
    return stem.encode()[: FILE_NAME_BYTES - len(ending.encode())].decode(errors="ignore") + ending


def keep_safe(text: str) -> str:
    """Return the text without characters that are special to a file system or change the text direction."""
    joined = "_".join(text.replace("/", " ").split())
    return "".join(each for each in joined if each in "._-" or is_safe(each))


def is_safe(letter: str) -> bool:
    """A character like "℀" is not: decomposed, as Werkzeug does it for old clients, it contains a slash."""
    return unicodedata.category(letter) in SAFE and "/" not in unicodedata.normalize("NFKD", letter)
