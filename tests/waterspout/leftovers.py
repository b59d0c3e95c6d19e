"""What is left of finished requests while the garbage collector does not run."""

import asyncio
import gc
from collections import Counter
from contextlib import asynccontextmanager

_OURS = ("waterspout", "tests", "tornado")
_CLIENTS = ("tests.waterspout.http.harness", "tests.waterspout.leftovers")
#: What has ended is freed by then, even on a busy machine (seconds).
_DEADLINE = 5.0


def count():
    """How many objects there are of each class of ours, Tornado's and the tests'."""
    kinds = Counter(map(type, gc.get_objects()))
    return Counter({kind: kinds[kind] for kind in kinds if _is_ours(str(kind.__module__))})


def _is_ours(module):
    return module.partition(".")[0] in _OURS and module not in _CLIENTS


@asynccontextmanager
async def nothing_left(*, but=()):
    """What is made in the block is freed after it, by reference counting alone. `but`: prefixes of the names
    of classes that are not checked.
    """
    gc.collect()
    before = count()
    gc.disable()
    try:
        yield
        end = asyncio.get_running_loop().time() + _DEADLINE
        while left := _name(count() - before, but):
            assert asyncio.get_running_loop().time() < end, left
            await asyncio.sleep(0.02)
    finally:
        gc.enable()


def _name(left, but):
    named = {f"{kind.__module__}.{kind.__qualname__}": number for kind, number in left.items()}
    return {name: number for name, number in named.items() if not name.startswith(but)}
