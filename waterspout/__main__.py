"""`python -m waterspout`: the same as the command `waterspout`."""

from waterspout.system.surroundings import open_streams

open_streams()  # before anything else is loaded: ctypes, for one, opens a file

from waterspout.cli import main  # noqa: E402  # behind the line above

if __name__ == "__main__":
    main()
