"""Freed memory is used again without going through the kernel."""

import platform
import subprocess
import sys

import pytest

ON_GLIBC = platform.libc_ver()[0] == "glibc"
#: Blocks as a large reply makes them: read, and shrunk to what came. Prints whether the allocator was set
#: up, and page faults for each.
LOOP = """
import os, resource, tempfile
from waterspout.system.allocator import keep_freed_memory
print(int(KEEP and keep_freed_memory()))
file = tempfile.TemporaryFile()
os.write(file.fileno(), bytes(100_000))
def work(count):
    for _ in range(count):
        os.pread(file.fileno(), 900_000, 0)
work(50)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
work(500)
print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) // 500)
"""


def run(keep, **environment):
    code = LOOP.replace("KEEP", str(keep))
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=30, check=True
    )
    kept, faults = map(int, done.stdout.split())
    return bool(kept), faults


@pytest.mark.skipif(not ON_GLIBC, reason="another C library")
def test_blocks_are_used_again():
    assert run(keep=False)[1] > 10
    assert run(keep=True) == (True, 0)


@pytest.mark.skipif(not ON_GLIBC, reason="another C library")
@pytest.mark.parametrize(
    "variables", [{"MALLOC_ARENA_MAX": "2"}, {"GLIBC_TUNABLES": "glibc.malloc.arena_max=2"}]
)
def test_who_has_set_the_allocator_up_keeps_that(variables):
    assert not run(keep=True, **variables)[0]


@pytest.mark.skipif(ON_GLIBC, reason="glibc")
def test_elsewhere_nothing_is_done():
    assert not run(keep=True)[0]
