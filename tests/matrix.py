"""All tests on every Python that is here, on both HTTP servers and both event loops: `make matrix`.

python -m tests.matrix [pytest arguments]
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHONS = ("python3.11", "python3.12", "python3.13")
SERVERS = ("waterspout", "tornado")
LOOPS = ("uvloop", "asyncio")


def find_pythons():
    """(name, path) of each that can be started."""
    for name in PYTHONS:
        path = shutil.which(name)
        # A version manager's stand-in exists even where the version does not.
        if path and subprocess.run([path, "--version"], capture_output=True, check=False).returncode == 0:
            yield name, path


def prepare(name, path):
    """A virtual environment with everything that the tests need; gives its interpreter."""
    folder = ROOT / f".venv-{name}"
    interpreter = folder / "bin" / "python"
    if not interpreter.exists():
        subprocess.run([path, "-m", "venv", folder], check=True)
    install = [interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, "--editable", f"{ROOT}[app,test]"], check=True)
    return interpreter


def run(interpreter, server, loop, arguments):
    choice = {"WATERSPOUT_TEST_SERVER": server, "WATERSPOUT_TEST_LOOP": loop}
    command = [interpreter, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, cwd=ROOT, env=os.environ | choice, check=False).returncode


def main(arguments):
    pythons = list(find_pythons())
    missing = sorted(set(PYTHONS) - {name for name, _ in pythons})
    if missing:
        print(f"not here, so not tested: {', '.join(missing)}")
    results = {}
    for name, path in pythons:
        interpreter = prepare(name, path)
        for server in SERVERS:
            for loop in LOOPS:
                print(f"=== {name}, {server}, {loop}", flush=True)
                results[name, server, loop] = run(interpreter, server, loop, arguments)
    for combination, code in results.items():
        print(*combination, "holds" if code == 0 else f"FAILS ({code})")
    return int(any(results.values()) or not results)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
