"""The board's route table in the README: `python -m tests.route_table` writes it, a test compares it."""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
BLOCK = re.compile(r"(?<=<!-- routes: written by make routes -->\n).*?(?=<!-- /routes -->)", re.S)


def print_table():
    """What `waterspout routes --markdown` prints for the board."""
    with tempfile.TemporaryDirectory() as folder:
        return subprocess.run(
            [sys.executable, "-m", "waterspout", "routes", "--markdown", "app.application:make_app()"],
            cwd=ROOT,
            env=os.environ | {"BOARD_FOLDER": folder, "DATABASE_URL": ""},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        ).stdout


def read_table():
    """The table in the README."""
    found = BLOCK.search(README.read_text())
    return found[0] if found else None


if __name__ == "__main__":
    table = print_table()
    README.write_text(BLOCK.sub(lambda _: table, README.read_text()))
