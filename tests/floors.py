"""The engine on the lowest versions of its dependencies that setup.cfg allows: `make floors`.

python -m tests.floors [pytest arguments]
"""

import configparser
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".venv-floors"
#: The oldest Flask that is served: older ones don't work with the Werkzeug that the router needs.
FLASK = "flask == 2.2.5"
#: The tests that tell most about a dependency in little time: the router, the database, the options, both
#: sides on the wire.
TESTS = (
    "tests/waterspout/routing",
    "tests/waterspout/service/sql",
    "tests/waterspout/test_option_types.py",
    "tests/wire/test_native.py",
    "tests/wire/test_two_sides.py",
)


def find_floors():
    """The requirements in `install_requires` and the extra `sql`, each at its lowest."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    requires = setup["options"]["install_requires"] + setup["options.extras_require"]["sql"]
    # A constraint can't name extras.
    return [re.sub(r"\[.*\]", "", line).replace(">=", "==") for line in requires.strip().splitlines()] + [
        FLASK
    ]


def prepare(floors):
    """Make a virtual environment of them; return its interpreter."""
    interpreter = FOLDER / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", "--clear", FOLDER], check=True)
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as constraints:
        constraints.write("\n".join(floors))
        constraints.flush()
        install = [interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        wanted = ["--constraint", constraints.name, "--editable", f"{ROOT}[sql,test]", "alembic"]
        wanted += ["flask", "flask-login"]
        subprocess.run([*install, *wanted], check=True)
    return interpreter


def main(arguments):
    floors = find_floors()
    print("=== on", "; ".join(floors), flush=True)
    command = [prepare(floors), "-m", "pytest", "-q", "-p", "no:cacheprovider", *(arguments or TESTS)]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
