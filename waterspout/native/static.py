"""Tornado's `StaticFileHandler`, but large files go out without passing through Python, and a file that has
changed is another file: to a browser that keeps the old one, and to a client that resumes a download.

Reads Tornado's private `_headers`, `_headers_written` and `_transforms` (6.6.1) to see whether anything would
change the body."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from tornado import web
from tornado.log import gen_log
from tornado.web import GZipContentEncoding, StaticFileHandler

from waterspout.limits import JOINED_SIZE, SENDFILE_FLOOR
from waterspout.native.forwarding import Forwarding
from waterspout.native.handler import LeanRequestHandler
from waterspout.native.original import original
from waterspout.native.transform import CompressWhole, RecordTransform

if TYPE_CHECKING:
    from waterspout.http.sendfile import FilePart

#: It reads the file; one that somebody has put in its place may do anything.
_OWN_CONTENT = original(getattr(StaticFileHandler.get_content, "__func__", None), web)
#: Transforms whose effect on a body is known.
_TRANSFORMS = (RecordTransform, CompressWhole, GZipContentEncoding)


class _Content:
    """A descriptor for `get_content`. Read from the class, it is Tornado's; from a handler that is running
    Tornado's own `get`, it sends by sendfile.
    """

    def __get__(
        self, handler: SendingFileHandler | None, owner: type[SendingFileHandler]
    ) -> Callable[..., Any]:
        whole: Callable[..., Any] = super(SendingFileHandler, owner).get_content
        if handler is None or not handler._sends_file or getattr(whole, "__func__", None) is not _OWN_CONTENT:
            return whole

        def get_content(path: str, start: int | None = None, end: int | None = None) -> Any:
            handler._sends_file = False
            return send_content(handler, path, start, end) or whole(path, start, end)

        return get_content


class SendingFileHandler(StaticFileHandler, LeanRequestHandler, metaclass=Forwarding):
    """Placed below all that a subclass of `StaticFileHandler` overrides: one with a `get_content`, `write` or
    `flush` of its own sees every byte, as with Tornado.

    `_sends_file`: the next call of `get_content` comes from Tornado's `get`, which is known to write each
    piece and wait until it is flushed. `_file_part`: what goes out by sendfile.
    """

    _sends_file = False
    _file_part: FilePart | None = None
    get_content = _Content()

    async def get(self, path: str, include_body: bool = True) -> None:
        cls = type(self)
        self._sends_file = (
            include_body
            and cls.write is LeanRequestHandler.write
            and cls.flush is LeanRequestHandler.flush
            and getattr(self.request.connection, "sends_files", False)
        )
        await super().get(path, include_body)
        if not (include_body or self._headers_written) and self._may_be_compressed():
            self.flush()  # before `finish`, as each piece of the body would be: compression depends on that

    def _may_be_compressed(self) -> bool:
        """Whether a transform may compress the body, if there is one."""
        is_empty = self._headers.get("Content-Length", "0") == "0"
        return not is_empty and any(isinstance(each, GZipContentEncoding) for each in self._transforms)

    def should_return_304(self) -> bool:
        """As Tornado's. `get` asks this before it looks at Range, which counts only if If-Range allows it."""
        asked = self.request.headers
        condition = asked.get("If-Range")
        if condition is not None and "Range" in asked and not self._is_same(condition):
            del asked["Range"]
        return super().should_return_304()

    def _is_same(self, condition: str) -> bool:
        """Whether If-Range names the file as it is. RFC 9110 section 13.1.5: what is compared must be equal,
        and a weak ETag equals none.
        """
        if condition == self._headers.get("Last-Modified"):
            return True
        return not condition.startswith("W/") and condition == self._headers.get("Etag")

    def compute_etag(self) -> str | None:
        """By content, as Tornado's; but that keeps a file's first ETag until the server ends, and so tells
        browsers forever that a changed file has not changed.
        """
        path = self.absolute_path
        try:
            found = os.stat(path) if path is not None else None
        except OSError:  # what a subclass serves need not be a file
            found = None
        if path is None or found is None or not self.settings.get("static_hash_cache", True):
            return super().compute_etag()
        version = _find_version(type(self), path, found.st_mtime_ns, found.st_size, found.st_ino)
        return f'"{version}"' if version else None


@lru_cache(maxsize=StaticFileHandler.MAX_CACHED_VERSIONS)
def _find_version(cls: type[StaticFileHandler], path: str, *_changed: int) -> str | None:
    """The version of a file's content. `_changed`: what is different once the file has changed."""
    try:
        return cls.get_content_version(path)
    except Exception as error:
        gen_log.error("Could not open static file %r: %s", path, error)
        return None


def send_content(
    handler: SendingFileHandler, path: str, start: int | None, end: int | None
) -> Iterator[bytes] | None:
    """Empty pieces, between which the file goes out. None: it is too small, or can't be opened; Tornado's own
    `get_content` then says why.
    """
    offset = start or 0
    size = (handler.get_content_size() if end is None else end) - offset
    file = _open(path) if size >= SENDFILE_FLOOR else None
    return None if file is None else _pieces(handler, file, offset, size)


def _pieces(handler: SendingFileHandler, file: BinaryIO, offset: int, size: int) -> Iterator[bytes]:
    try:
        yield b""  # sends the head, which has been framed and transformed by then
        if _is_plain(handler):
            handler._file_part = cast(Any, handler.request.connection).write_file(file, offset, size)
        if handler._file_part is None:
            file.seek(offset)
            yield from _read(file, size)
        else:
            yield b""  # `flush` waits until the client has taken the file
    finally:
        if handler._file_part is None:
            file.close()


def _is_plain(handler: SendingFileHandler) -> bool:
    """Whether the body goes out unchanged."""
    known = all(type(transform) in _TRANSFORMS for transform in handler._transforms)
    return known and "Content-Encoding" not in handler._headers


def _read(file: BinaryIO, size: int) -> Iterator[bytes]:
    while size and (chunk := file.read(min(size, JOINED_SIZE))):
        size -= len(chunk)
        yield chunk


def _open(path: str) -> BinaryIO | None:
    """Open a regular file. A pipe would make `open` wait; O_NONBLOCK has no effect on a file."""
    try:
        file = open(path, "rb", buffering=0, opener=_open_at_once)  # noqa: SIM115 - the sender closes it
    except OSError:
        return None
    if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return file
    file.close()
    return None


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)
