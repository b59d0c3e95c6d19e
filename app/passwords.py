"""Passwords, hashed with argon2id. Knows neither Tornado nor Flask."""

import hashlib
import hmac
from base64 import b32encode, b64encode
from threading import BoundedSemaphore

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import ARGON2_VERSION

from app.store import Refused

PASSWORD_LENGTH = 12
# Hashing a longer one would cost the server, and nobody types that much.
PASSWORD_LENGTH_AT_MOST = 200

# The library's defaults: 64 MiB and some 50 ms for each, RFC 9106's choice where memory is limited.
hasher = PasswordHasher()

# Each takes that memory: concurrent sign-ins wait for each other, and a flood of them takes no more.
AT_ONCE = BoundedSemaphore(2)


def hash_password(password: str) -> str:
    with AT_ONCE:
        return hasher.hash(password)


def make_decoy() -> str:
    """Return a hash that matches no password but takes as long as any to verify; made without hashing."""
    salt, digest = (
        b64encode(bytes(size)).decode().rstrip("=") for size in (hasher.salt_len, hasher.hash_len)
    )
    cost = f"m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"
    return f"$argon2id$v={ARGON2_VERSION}${cost}${salt}${digest}"


def is_password(password: str, password_hash: str) -> bool:
    """Whether the hash is that of this password."""
    try:
        with AT_ONCE:
            return hasher.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False


def is_outdated(password_hash: str) -> bool:
    """Whether the current parameters would hash it differently."""
    return hasher.check_needs_rehash(password_hash)


def hash_new_password(password: str) -> str:
    """Return the hash of a newly chosen password; raises `Refused`: too short, or too long."""
    if len(password) < PASSWORD_LENGTH:
        raise Refused(f"Use {PASSWORD_LENGTH} characters or more: a few words will do.", "password")
    if len(password) > PASSWORD_LENGTH_AT_MOST:
        raise Refused(f"Use {PASSWORD_LENGTH_AT_MOST} characters at most.", "password")
    return hash_password(password)


def derive_password(key: str, name: str) -> str:
    """Return the initial password of the example's operator: known to anyone who can read the key."""
    digest = hmac.digest(key.encode(), f"password of {name}".encode(), hashlib.sha256)
    letters = b32encode(digest).decode().lower()
    return "-".join(letters[start : start + 5] for start in (0, 5, 10))
