"""What the server says to its operator, beside the log: where it serves, why it can't, that it stops."""

from __future__ import annotations

import sys

import click

from waterspout.system.surroundings import silence


def say(text: str, mark: str = "waterspout: ") -> None:
    """Write one line to stderr. If that fails, the server runs, or stops, all the same."""
    try:
        click.echo(f"{mark}{text}", err=True)
    except BrokenPipeError:
        # Whoever read it is gone for good. Else what lies in the buffer fails once more when Python ends.
        if sys.stderr is sys.__stderr__:
            silence(2)
    except (OSError, ValueError):
        pass  # the disk is full, or the app has closed it
