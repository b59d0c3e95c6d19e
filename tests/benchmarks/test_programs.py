"""Programs that compute beside a server."""

import os

from benchmarks.contestants import ISOLATION_CONTROL
from benchmarks.programs import LONGEST, Programs
from tests.waterspout.processes import wait_until
from waterspout.wsgi.starving import is_ready


def test_they_want_a_core_when_nobody_else_does_and_are_gone_afterwards():
    with Programs(ISOLATION_CONTROL.programs) as programs:
        pids = [program.pid for program in programs.running]
        assert len(pids) == 2
        for pid in pids:
            assert os.sched_getscheduler(pid) == os.SCHED_IDLE
            assert wait_until(lambda pid=pid: is_ready(pid, pid))
    assert not [pid for pid in pids if os.path.exists(f"/proc/{pid}")]
    assert programs.running == []


def test_one_that_nobody_ends_ends_by_itself():
    with Programs(1) as programs:
        (program,) = programs.running
        with open(f"/proc/{program.pid}/limits") as file:
            line = next(line for line in file if line.startswith("Max cpu time"))
    assert line.split()[3:5] == [str(LONGEST)] * 2
