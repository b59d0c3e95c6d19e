"""Keys that the example makes for itself."""

import hashlib
import hmac
import os
import secrets
import tempfile
from base64 import b32encode
from pathlib import Path


def keep_key(path: Path) -> str:
    """Return the key in the file, which is made, for its owner alone, when there is none; raises OSError."""
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
        os.link(draft, path)
    except FileExistsError:
        pass  # another process was faster
    finally:
        os.unlink(draft)


def derive_password(key: str, name: str) -> str:
    """Return the password that the example's operator begins with: known to whoever can read the key."""
    digest = hmac.digest(key.encode(), f"password of {name}".encode(), hashlib.sha256)
    letters = b32encode(digest).decode().lower()
    return "-".join(letters[start : start + 5] for start in (0, 5, 10))
