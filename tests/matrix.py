"""All tests on every Python that is installed, both HTTP servers and both event loops: `make matrix`.

python -m tests.matrix [--jobs N] [--only WORD]... [pytest arguments]

The first combination of a Python runs everything. The others run only the modules that started a server in
the first: the rest is the same in all of them.

`--jobs`: how many combinations run at once (3: tests wait more than they compute). `--only`: those with this
word in their name, such as python3.13 or asyncio; given twice, with both.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHONS = ("python3.11", "python3.12", "python3.13", "python3.14", "python3.15")
SERVERS = ("waterspout", "tornado")
LOOPS = ("uvloop", "asyncio")
#: Where the output of each combination goes.
LOGS = ROOT / ".matrix"


def find_pythons():
    """(name, path) of each Python that can be started."""
    for name in PYTHONS:
        path = shutil.which(name)
        # A version manager's shim exists even where the version does not.
        if path and subprocess.run([path, "--version"], capture_output=True, check=False).returncode == 0:
            yield name, path


def prepare(name, path):
    """Make a virtual environment with everything that the tests need; return its interpreter."""
    folder = ROOT / f".venv-{name}"
    interpreter = folder / "bin" / "python"
    if not interpreter.exists():
        subprocess.run([path, "-m", "venv", folder], check=True)
    install = [interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, "--editable", f"{ROOT}[app,test]"], check=True)
    return interpreter


def run(interpreter, combination, arguments, modules):
    """Return the exit code of pytest. Its output goes to a file; that it ended, and how, is printed here.

    `modules`: the environment variable that says which test modules to run, or where to note them.
    """
    _, server, loop = combination
    title = " ".join(combination)
    choice = {"WATERSPOUT_TEST_SERVER": server, "WATERSPOUT_TEST_LOOP": loop} | modules
    command = [interpreter, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    path = LOGS / f"{'-'.join(combination)}.log"
    print(f"=== {title}: {path.relative_to(ROOT)}", flush=True)
    began = time.monotonic()
    with path.open("wb") as log:
        code = subprocess.run(
            command, cwd=ROOT, env=os.environ | choice, stdout=log, stderr=log, check=False
        ).returncode
    last = path.read_text(errors="replace").rstrip().rpartition("\n")[2]
    print(f"=== {title}: {last} (status {code}, {time.monotonic() - began:.0f} s)", flush=True)
    return code


def run_all(combinations, interpreters, arguments, jobs):
    """Return the exit code of each. The first of each Python runs before the others: they need its notes."""
    firsts = {name: next(each for each in combinations if each[0] == name) for name in interpreters}
    codes = {}

    def run_first(combination):
        seen = LOGS / f"{combination[0]}.modules"
        seen.unlink(missing_ok=True)
        return run(interpreters[combination[0]], combination, arguments, {"WATERSPOUT_TEST_SEEN": str(seen)})

    def run_other(combination):
        codes[firsts[combination[0]]].result()
        seen = LOGS / f"{combination[0]}.modules"
        # A run that was cut short has noted none.
        modules = {"WATERSPOUT_TEST_MODULES": str(seen)} if seen.exists() else {}
        return run(interpreters[combination[0]], combination, arguments, modules)

    with ThreadPoolExecutor(jobs) as pool:
        codes.update({each: pool.submit(run_first, each) for each in firsts.values()})
        codes.update({each: pool.submit(run_other, each) for each in combinations if each not in codes})
    return [codes[each].result() for each in combinations]


def main(arguments):
    parser = argparse.ArgumentParser(prog="python -m tests.matrix", allow_abbrev=False)
    parser.add_argument("--jobs", type=int, default=3)
    parser.add_argument("--only", action="append", default=[])
    options, arguments = parser.parse_known_args(arguments)
    pythons = dict(find_pythons())
    missing = sorted(set(PYTHONS) - set(pythons))
    if missing:
        print(f"not here, so not tested: {', '.join(missing)}")
    combinations = [
        combination
        for combination in product(pythons, SERVERS, LOOPS)
        if all(word in combination for word in options.only)
    ]
    interpreters = {name: prepare(name, pythons[name]) for name in sorted({each[0] for each in combinations})}
    LOGS.mkdir(exist_ok=True)
    codes = run_all(combinations, interpreters, arguments, options.jobs)
    for combination, code in zip(combinations, codes, strict=True):
        print(*combination, "holds" if code == 0 else f"FAILS ({code})")
    return int(any(codes) or not codes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
