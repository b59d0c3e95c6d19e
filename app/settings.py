"""The service's settings from its environment, read and checked once, when it starts."""

import errno
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv6Address
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from sqlalchemy import URL

from waterspout.service.folder import make_folder
from waterspout.service.keys import keep_key
from waterspout.service.sql import parse_url

ROOT = Path(__file__).resolve().parent.parent

# Both sides render from one folder, identically down to the last space: either could have sent the reply.
TEMPLATES = ROOT / "templates"
TEMPLATE_OPTIONS: dict[str, Any] = {"trim_blocks": True, "lstrip_blocks": True}

DEFAULT_FOLDER = ROOT / "var"
EXAMPLE_DATABASE = "board.sqlite3"
EXAMPLE_KEY = "secret_key"
DEFAULT_BOARD_NAME = "Waterspout Status"
BOARD_NAME_LENGTH = 60

# Whoever guesses the key can be any operator: 32 random characters can't be guessed.
KEY_LENGTH = 32
MAKE_A_KEY = "python3 -c 'import secrets; print(secrets.token_hex(32))'"
PROXIES_AT_MOST = 9

DEFAULT_PORTS = {"http": 80, "https": 443}
HOST = re.compile(r"[a-z0-9._-]+")
NO_BOARD_URL = "BOARD_URL must be the board's address alone, such as https://status.example.com"


class SettingsError(ValueError):
    """The environment asks for something that the service can't do; the message says what to change."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment says, checked.

    `database_url` is normalised (`waterspout.service.sql.parse_url`); `board_name` is the title of each page.
    `folder` holds the attachments and, for the example, everything. `url` is the public address of the board,
    without a trailing "/", or empty; `root_path`, such as "/status", is what the server mounts it under
    there, as far as the environment says. `proxies` is how many of them have added to `X-Forwarded-For`.
    `example`: no database is configured, so this is the board to play with.
    """

    database_url: URL
    board_name: str = DEFAULT_BOARD_NAME
    folder: Path = DEFAULT_FOLDER
    secret_key: str = field(default_factory=lambda: secrets.token_hex(KEY_LENGTH), repr=False)
    secret_key_fallbacks: tuple[str, ...] = field(default=(), repr=False)
    url: str = ""
    root_path: str = ""
    proxies: int = 0
    example: bool = False

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        """Read what docs/deployment.md lists; an empty value counts as unset; raises SettingsError."""
        folder = parse_folder(environ.get("BOARD_FOLDER") or str(DEFAULT_FOLDER))
        database = environ.get("DATABASE_URL")
        return cls(
            database_url=parse_database_url(database or f"sqlite:///{folder / EXAMPLE_DATABASE}"),
            board_name=parse_board_name(environ.get("BOARD_NAME") or DEFAULT_BOARD_NAME),
            folder=folder,
            secret_key=find_secret_key(environ.get("SECRET_KEY"), None if database else folder / EXAMPLE_KEY),
            secret_key_fallbacks=parse_fallbacks(environ.get("SECRET_KEY_FALLBACKS") or ""),
            url=parse_board_url(environ.get("BOARD_URL") or ""),
            root_path=parse_root_path(environ.get("WATERSPOUT_ROOT_PATH") or ""),
            proxies=parse_proxies(environ.get("BOARD_PROXIES") or "0"),
            example=not database,
        )


# Each of the following raises `SettingsError` for an unusable value.


def parse_folder(text: str) -> Path:
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError as error:
        message = (
            f"BOARD_FOLDER {text} begins with a home directory that can't be found (is there such a user?)"
        )
        raise SettingsError(message) from error


def parse_database_url(text: str) -> URL:
    try:
        return parse_url(text)
    except ValueError as error:
        raise SettingsError(f"DATABASE_URL: {error}") from error


def parse_board_name(text: str) -> str:
    """Return the name with its whitespace normalised."""
    name = " ".join(text.split())
    if not name.isprintable() or not 1 <= len(name) <= BOARD_NAME_LENGTH:
        raise SettingsError(f"BOARD_NAME must have 1 to {BOARD_NAME_LENGTH} printable characters")
    return name


def find_secret_key(given: str | None, example: Path | None) -> str:
    """Return the given key; for the example, the one kept in this file."""
    if given:
        return check_key(given, "SECRET_KEY")
    if example is None:
        raise SettingsError(f"SECRET_KEY is not set. Make one, and keep it: {MAKE_A_KEY}")
    try:
        return check_key(keep_key(example), f"the file {example}")
    except OSError as error:
        raise SettingsError(
            f"{example} can't be created or read: {error.strerror}. Set BOARD_FOLDER"
        ) from error
    except UnicodeDecodeError as error:
        message = f"the file {example} holds no key (it is not text): remove it, and a new one is made"
        raise SettingsError(message) from error


def check_folder(folder: Path) -> None:
    """Create the folder if needed: at the start, not when the first attachment comes."""
    try:
        make_folder(folder)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, "nothing can be written there")
    except OSError as error:
        raise SettingsError(f"BOARD_FOLDER {folder} can't be created or used: {error.strerror}") from error


def check_key(key: str, place: str) -> str:
    if len(key) < KEY_LENGTH:
        raise SettingsError(f"{place} must have {KEY_LENGTH} characters or more. Make one: {MAKE_A_KEY}")
    return key


def parse_fallbacks(text: str) -> tuple[str, ...]:
    """Return the keys that were in use before: their signatures are still accepted."""
    keys = [key.strip() for key in text.split(",")]
    return tuple(check_key(key, "Each of SECRET_KEY_FALLBACKS") for key in keys if key)


def parse_board_url(text: str) -> str:
    """Return the board's public address as browsers write an origin (RFC 6454, 6.2), or nothing."""
    if not text:
        return ""
    try:
        parts = urlsplit(text.strip().rstrip("/").lower())
        host, port = encode_host(parts.hostname or ""), parts.port
    except SettingsError:
        raise
    except ValueError as error:
        raise SettingsError(NO_BOARD_URL) from error
    if parts.scheme not in DEFAULT_PORTS or "@" in parts.netloc or parts[2:] != ("", "", "") or port == 0:
        raise SettingsError(NO_BOARD_URL)
    return f"{parts.scheme}://{host}" + ("" if port in (None, DEFAULT_PORTS[parts.scheme]) else f":{port}")


def encode_host(host: str) -> str:
    """Return the host as browsers send it; also raises ValueError: it is not a host."""
    if ":" in host and "%" not in host:
        return f"[{IPv6Address(host)}]"
    encoded = host.encode("idna").decode()
    if not host.isascii() and encoded.encode().decode("idna") != host:
        raise SettingsError("BOARD_URL: write the name of the host as browsers send it, xn--...")
    if not HOST.fullmatch(encoded):
        raise SettingsError(NO_BOARD_URL)
    return encoded


def parse_root_path(text: str) -> str:
    """Return it without a trailing slash. The server checks the rest."""
    if text and not text.startswith("/"):
        raise SettingsError("WATERSPOUT_ROOT_PATH must be a path, such as /status")
    return text.removesuffix("/")


def parse_proxies(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text[:9]) <= PROXIES_AT_MOST):
        raise SettingsError("BOARD_PROXIES must be the number of proxies in front of the board, such as 1")
    return int(text)
