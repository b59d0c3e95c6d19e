"""What many threads ask for at once is made once: `waterspout.native.Cache`, for Flask's views. Leaf."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Newest(Generic[T]):
    """Values by key, each in the newest version that was asked for; for `size` keys at most."""

    def __init__(self, size: int = 64) -> None:
        self._size = size
        self._values: dict[Hashable, tuple[Hashable, T]] = {}
        self._making = threading.Lock()

    def get(self, key: Hashable, version: Hashable, make: Callable[[], tuple[Hashable, T]]) -> T:
        """Return the key's value of this version, or of a newer one.

        `make` returns the version that it found, and the value; other callers wait for the one that makes it.
        Raises what `make` raises.
        """
        with self._making:
            if key not in self._values or self._values[key][0] != version:
                self._values.pop(key, None)
                self._values[key] = make()
                if len(self._values) > self._size:
                    del self._values[next(iter(self._values))]  # the one that was made first
            return self._values[key][1]
