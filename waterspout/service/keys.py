"""Secrets that a service makes for itself at its first start. Leaf."""

from __future__ import annotations

import os
import secrets
import tempfile
from pathlib import Path

from waterspout.service.folder import sync_names


def keep_key(path: Path) -> str:
    """Return the key in the file, which is made, for its owner alone, when there is none.

    Raises OSError, and ValueError: what is in it is no text.
    """
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        make_key(path)
        return path.read_text().strip()


def make_key(path: Path) -> None:
    """Make the file with a key in it: whole from its first moment, and only once by all who try."""
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
