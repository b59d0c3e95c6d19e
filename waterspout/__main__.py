"""`python -m waterspout`: the same as the command `waterspout`."""

import gc
import sys
from typing import Final

from waterspout.system.surroundings import end_early, open_streams

open_streams()  # before anything else is loaded: ctypes, for one, opens a file
end_early()

import tornado  # noqa: E402  # open_streams() and end_early() come before anything is loaded

#: What setup.cfg asks for. pip replaces it by an older one for another package, and only warns.
OLDEST_TORNADO: Final = (6, 6)

if tornado.version_info[:2] < OLDEST_TORNADO:
    needed = ".".join(map(str, OLDEST_TORNADO))
    sys.exit(
        f"waterspout: this is Tornado {tornado.version} ({tornado.__path__[0]}), and {needed} or newer is "
        f"needed: {sys.executable} -m pip install 'tornado>={needed}'"
    )

is_collecting = gc.isenabled()
gc.disable()  # nothing that is loaded is garbage: scanning it again and again takes a tenth of the start
from waterspout.cli import main  # noqa: E402  # after the lines above

if is_collecting:
    gc.enable()

if __name__ == "__main__":
    main()
