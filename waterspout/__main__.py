"""`python -m waterspout`: the same as the command `waterspout`."""

from waterspout.system.surroundings import end_early, open_streams

open_streams()  # before anything else is loaded: ctypes, for one, opens a file
end_early()

from waterspout.cli import main  # noqa: E402  # behind the lines above

if __name__ == "__main__":
    main()
