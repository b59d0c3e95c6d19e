"""`.venv-bench`: the peers and this checkout of Waterspout. Built when its stamp is not today's."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

from benchmarks.errors import BenchmarkError

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".venv-bench"
PYTHON = FOLDER / "bin" / "python"
STAMP = FOLDER / ".installed"
REQUIREMENTS = ROOT / "benchmarks" / "requirements.txt"
#: Each step of the build ends after this many seconds, come what may: a slow mirror needs some minutes.
STEP_TIMEOUT = 900


def fingerprint() -> str:
    """What the environment was made of: the same text, the same environment."""
    made_of = [sys.version.encode()]
    made_of += [path.read_bytes() for path in (REQUIREMENTS, ROOT / "setup.cfg", ROOT / "pyproject.toml")]
    return hashlib.sha256(b"\0".join(made_of)).hexdigest()


def is_current() -> bool:
    return PYTHON.exists() and STAMP.exists() and STAMP.read_text() == fingerprint()


def build() -> Path:
    """The environment's interpreter. Raises BenchmarkError."""
    if is_current():
        return PYTHON
    print(f"building {FOLDER.name}, once", file=sys.stderr)
    run_step(sys.executable, "-m", "venv", "--clear", str(FOLDER))
    (FOLDER / ".gitignore").write_text("*\n")
    pip = (str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    run_step(*pip, "--requirement", str(REQUIREMENTS), "--editable", str(ROOT))
    STAMP.write_text(fingerprint())
    return PYTHON


def run_step(*command: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=STEP_TIMEOUT)
    except subprocess.TimeoutExpired:
        raise BenchmarkError(f"not done after {STEP_TIMEOUT} s: {' '.join(command)}") from None
    if done.returncode != 0:
        raise BenchmarkError(f"failed: {' '.join(command)}\n{done.stdout}{done.stderr}")
