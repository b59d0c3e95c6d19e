"""Programs that compute beside a server."""

import os

from benchmarks.contestants import ISOLATION_BOUND
from benchmarks.programs import LONGEST, Programs
from tests.waterspout.processes import wait_until


def read_cpu(pid):
    with open(f"/proc/{pid}/schedstat") as file:
        return int(file.read().split()[0])


def test_they_compute_when_nobody_else_wants_a_core_and_are_gone_afterwards():
    with Programs(ISOLATION_BOUND.programs) as programs:
        pids = [program.pid for program in programs.running]
        assert len(pids) == 2
        for pid in pids:
            assert wait_until(lambda pid=pid: os.sched_getscheduler(pid) == os.SCHED_IDLE)
            assert wait_until(lambda pid=pid: read_cpu(pid) > 1e8)
    assert not [pid for pid in pids if os.path.exists(f"/proc/{pid}")]
    assert programs.running == []


def test_one_that_nobody_ends_ends_by_itself():
    with Programs(1) as programs:
        (program,) = programs.running
        with open(f"/proc/{program.pid}/limits") as file:
            line = next(line for line in file if line.startswith("Max cpu time"))
    assert line.split()[3:5] == [str(LONGEST)] * 2
