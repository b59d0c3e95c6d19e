"""`python -m waterspout`: the same as the command `waterspout`."""

import gc

from waterspout.system.surroundings import end_early, open_streams

open_streams()  # before anything else is loaded: ctypes, for one, opens a file
end_early()

is_collecting = gc.isenabled()
gc.disable()  # nothing that is loaded is garbage: scanning it again and again takes a tenth of the start
from waterspout.cli import main  # noqa: E402  # after the lines above

if is_collecting:
    gc.enable()

if __name__ == "__main__":
    main()
