"""`python -m waterspout`: the same as the command `waterspout`."""

from waterspout.cli import main

if __name__ == "__main__":
    main()
