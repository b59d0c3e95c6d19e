"""Secrets that a service makes for itself at its first start. Leaf."""

from __future__ import annotations

import os
import secrets
import tempfile
from pathlib import Path

from waterspout.service.folder import make_folder, sync_names


def keep_key(path: Path) -> str:
    """Return the key in the file, which is created, readable only by its owner, if there is none.

    Raises OSError, and ValueError: its content is not text.
    """
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        make_folder(path.parent)
        make_key(path)
        return path.read_text().strip()


def make_key(path: Path) -> None:
    """Create the file with a key in it: atomically, and only once however many processes try."""
    descriptor, draft = tempfile.mkstemp(dir=path.parent)  # mode 600
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
        sync_names(path.parent)
    except FileExistsError:
        pass  # another process was faster
    finally:
        os.unlink(draft)
