"""What starts a WSGI process."""

import os
import subprocess
import sys

import pytest

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


@pytest.mark.parametrize(("flags", "is_unbuffered"), [(["-u"], True), ([], False)])
def test_what_views_print_is_as_unbuffered_as_what_the_server_prints(flags, is_unbuffered):
    code = f"from {build_command.__module__} import build_command; print(*build_command(0)[:-3])"
    env = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run([sys.executable, *flags, "-c", code], env=env, capture_output=True, text=True)
    assert ("-u" in done.stdout.split()) == is_unbuffered, done.stderr
