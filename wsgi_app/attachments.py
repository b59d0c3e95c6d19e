"""Attachments: taken with an update by operators, sent to everybody."""

import hashlib
import os
import re
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from flask import Blueprint, abort, send_file
from sqlalchemy import select
from werkzeug.datastructures import FileStorage
from werkzeug.utils import secure_filename
from werkzeug.wrappers import Response

from app.store import Refused
from app.store.rows import find
from app.store.tables import FILE_NAME_LENGTH, Attachment
from wsgi_app.resources import current_settings, current_store
from wsgi_app.sniffing import ALLOWED, CHUNK, sniff

attachments = Blueprint("attachments", __name__)

# A screenshot or a log fits in; a film does not. All the files of one update together.
FILES_SIZE = 10 * 1024 * 1024
FILES_EACH_UPDATE = 5

# Nothing in the file may run, ask for anything, or be framed, whatever a browser makes of it.
POLICY = "sandbox; default-src 'none'; frame-ancestors 'none'"
KEPT_FOR = 3600

# Names of stored files, and how old one must be that is swept: a post takes seconds.
STORED_AS = re.compile("[0-9a-f]{32}")
SWEPT_AFTER = 3600

# For a name of which nothing safe is left.
NAMELESS = "file"


@attachments.get("/attachments/<int:attachment_id>")
def send(attachment_id: int) -> Response:
    """Send the file, to be saved: never shown as a page of this site."""
    attachment = current_store().read(find, Attachment, attachment_id)
    path = folder() / attachment.stored_as
    if not path.exists():
        abort(404, "This file is no longer there.")
    response = send_file(
        path,
        mimetype=attachment.media_type,
        as_attachment=True,
        download_name=attachment.name,
        etag=attachment.sha256,
        max_age=KEPT_FOR,
    )
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    return response


def folder() -> Path:
    return current_settings().folder / "attachments"


@contextmanager
def stored(uploads: Sequence[FileStorage]) -> Iterator[list[Attachment]]:
    """Store the files while the body runs; if it raises, or one of them is refused, none of them stays.

    Raises `Refused`: there are too many of them, or one is of a kind that is not taken.
    """
    if len(uploads) > FILES_EACH_UPDATE:
        raise Refused(f"Attach {FILES_EACH_UPDATE} files at most.", "files")
    files: list[Attachment] = []
    try:
        for upload in uploads:
            files.append(store_file(upload))
        yield files
    except BaseException:
        for file in files:
            (folder() / file.stored_as).unlink(missing_ok=True)
        raise


def store_file(upload: FileStorage) -> Attachment:
    """Copy one file, under a name that nobody chose, and return what is known of it; raises `Refused`."""
    media_type = sniff(upload.stream)
    name = safe_name(upload.filename or "")
    if media_type is None:
        raise Refused(f"{name} can't be attached: only {ALLOWED} are taken.", "files")
    stored_as = secrets.token_hex(16)
    folder().mkdir(parents=True, exist_ok=True)
    upload.stream.seek(0)
    size, sha256 = copy(upload, folder() / stored_as)
    return Attachment(name=name, media_type=media_type, size=size, sha256=sha256, stored_as=stored_as)


def copy(upload: FileStorage, path: Path) -> tuple[int, str]:
    """Copy the file to the disk, not just to the system's memory; return its size and hash."""
    digest, size = hashlib.sha256(), 0
    try:
        with path.open("xb") as target:
            while chunk := upload.stream.read(CHUNK):
                digest.update(chunk)
                size += target.write(chunk)
            target.flush()
            os.fsync(target.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return size, digest.hexdigest()


def safe_name(name: str) -> str:
    """Return what people see, and save the file as: no path, no control characters, not too long."""
    stem, dot, ending = secure_filename(name).rpartition(".")
    ending = (dot + ending)[:20]
    return stem[: FILE_NAME_LENGTH - len(ending)] + ending or NAMELESS


def sweep_files() -> int:
    """Remove the files that no attachment has, and return how many. A young one's may be on its way."""
    known = set(current_store().read(lambda session: session.scalars(select(Attachment.stored_as)).all()))
    old = time.time() - SWEPT_AFTER
    orphans = [
        path
        for path in (folder().iterdir() if folder().exists() else ())
        if STORED_AS.fullmatch(path.name) and path.name not in known and path.stat().st_mtime < old
    ]
    for path in orphans:
        path.unlink(missing_ok=True)
    return len(orphans)
