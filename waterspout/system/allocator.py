"""The C library's allocator: memory that the server's process frees is soon needed again. Leaf."""

from __future__ import annotations

import ctypes
import os
from typing import Final

from waterspout.limits import FREED_MEMORY, MAPPED_BLOCK

#: From glibc's malloc.h.
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3


def keep_freed_memory() -> bool:
    """Let the process keep some of what it has freed, instead of giving each large block back to the kernel.

    glibc maps each block from 128 KiB on, and gives back the heap's end, each time: the kernel then clears
    fresh pages for every piece of a large body that passes through the loop, which was two thirds of its
    cost.

    False, and nothing is done: it is not glibc, or the allocator was configured by environment variables.
    """
    if any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    return bool(mallopt(_M_TRIM_THRESHOLD, FREED_MEMORY) and mallopt(_M_MMAP_THRESHOLD, MAPPED_BLOCK))
