"""A closed transport that holds nothing, in place of one that is gone. Leaf."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Final

_NOBODY: Final = asyncio.Protocol()


class GoneTransport(asyncio.Transport):
    """A closed transport that holds nothing.

    A connection that has ended may wait in a reference cycle for the garbage collector, and would keep the
    event loop's own transport alive, with all that it holds for the client. Every transport method is defined
    here: those of asyncio's class raise NotImplementedError, and a WebSocket may be given this one, too.
    """

    def is_closing(self) -> bool:
        return True

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        pass

    def get_protocol(self) -> asyncio.BaseProtocol:
        return _NOBODY

    def get_write_buffer_size(self) -> int:
        return 0

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return 0, 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def can_write_eof(self) -> bool:
        return False

    def write(self, data: Any) -> None:
        pass

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        pass

    def write_eof(self) -> None:
        pass

    def is_reading(self) -> bool:
        return False

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def close(self) -> None:
        pass

    def abort(self) -> None:
        pass


GONE: Final = GoneTransport()
