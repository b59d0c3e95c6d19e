"""Uploaded files, kept in a folder: whole or not at all, under random names. Leaf."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_CHUNK = 64 * 1024
_NAME = re.compile("[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Kept:
    """A file in the folder: its name there, its size in bytes, its SHA-256 in hexadecimal."""

    name: str
    size: int
    sha256: str


class Folder:
    """Created when the first file comes. Blocks: for Flask's views."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def keep(self, stream: IO[bytes]) -> Kept:
        """Copy the stream, from its beginning, to the disk itself, not just to the system's memory.

        If that raises, nothing is left behind.
        """
        make_folder(self.path)
        name = secrets.token_hex(16)
        try:
            size, sha256 = _copy(stream, self.path / name)
            sync_names(self.path)
        except BaseException:
            self.remove(name)
            raise
        return Kept(name, size, sha256)

    def remove(self, *names: str) -> None:
        """Remove files, ignoring those that are not there."""
        for name in names:
            (self.path / name).unlink(missing_ok=True)

    def sweep(self, known: Collection[str], older_than: float = 3600) -> int:
        """Remove the files that are not known: left by a process that was killed between `keep` and commit.

        Files younger than `older_than` seconds stay: their commit may be on its way. So do files that `keep`
        did not name. Returns how many were removed.
        """
        old = time.time() - older_than
        orphans = [
            path.name
            for path in (self.path.iterdir() if self.path.exists() else ())
            if _NAME.fullmatch(path.name) and path.name not in known and _is_older(path, old)
        ]
        self.remove(*orphans)
        return len(orphans)


def _is_older(path: Path, when: float) -> bool:
    try:
        return path.stat().st_mtime < when
    except FileNotFoundError:
        return False  # another sweep has removed it


def make_folder(path: Path) -> None:
    """Create a folder, and those above it that are missing, in a way that survives a power failure."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for folder in missing:
        sync_names(folder.parent)


def sync_names(folder: Path) -> None:
    """Make the names in a folder survive a power failure, as `fsync` does for the content of a file."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _copy(stream: IO[bytes], path: Path) -> tuple[int, str]:
    """Copy the stream; return its size and hash."""
    stream.seek(0)
    digest, size = hashlib.sha256(), 0
    with path.open("xb") as target:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
            size += target.write(chunk)
        target.flush()
        os.fsync(target.fileno())
    return size, digest.hexdigest()
