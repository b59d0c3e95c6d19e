"""The command that starts a WSGI process. Leaf."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

_FLAGS: Final = {
    "B": "dont_write_bytecode",
    "E": "ignore_environment",
    "S": "no_site",
    "s": "no_user_site",
}
#: The directory or archive that holds this package.
_PACKAGES: Final = str(Path(os.path.abspath(__file__)).parents[3])
#: A WSGI process runs this very package, wherever it was found; the rest of `sys.path` comes in SPEC. Until
#: then no `queue.py` of the current directory, or of installed packages, can replace Python's own.
#: Its main module has the file and the spec that it has under `python -m waterspout`: without a file,
#: python-dotenv and others think that somebody types at a prompt. By the spec's name, processes that
#: `multiprocessing` spawns know that there is nothing in it for them.
_BOOT: Final = """
import sys
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec

spec = PathFinder.find_spec("waterspout", [sys.argv[1]])
package = sys.modules["waterspout"] = module_from_spec(spec)
spec.loader.exec_module(package)
__spec__ = find_spec("waterspout.__main__")
__file__ = __spec__.origin

from waterspout.wsgi.worker.child import main

sys.exit(main())
"""


def _interpreter_flags() -> list[str]:
    """This interpreter's options about imports, output, warnings and -X; plus -P: the current directory is
    not searched yet.
    """
    flags = ["-P", *(f"-{letter}" for letter, name in _FLAGS.items() if getattr(sys.flags, name))]
    flags += ["-" + "O" * sys.flags.optimize] if sys.flags.optimize else []
    flags += ["-u"] if getattr(sys.__stdout__, "write_through", False) else []
    flags += [
        word
        for name, value in sys._xoptions.items()
        for word in ("-X", name if value is True else f"{name}={value}")
    ]
    return flags + [f"-W{option}" for option in sys.warnoptions]


def build_command(control: int) -> list[str]:
    """The command for a WSGI process whose end of the control channel is descriptor `control`."""
    return [sys.executable, *_interpreter_flags(), "-c", _BOOT, _PACKAGES, str(control)]
