"""What starts a WSGI process."""

import subprocess
import sys

from waterspout.wsgi.lanes.command import build_command


def test_it_runs_this_very_package_with_this_interpreter():
    command = build_command(0)
    assert command[0] == sys.executable
    boot = command.index("-c") + 1
    code = command[boot].partition("from waterspout.wsgi.worker.child")[0] + "print(package.__file__)"
    done = subprocess.run(
        [*command[:boot], code, *command[boot + 1 :]], cwd="/", capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == sys.modules["waterspout"].__file__


def test_the_current_directory_is_not_looked_into():
    assert "-P" in build_command(0)
