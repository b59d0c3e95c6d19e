"""What the server tells its operator outside the log: where it serves, why it can't, that it stops."""

from __future__ import annotations

import sys

import click

from waterspout.system.surroundings import silence


def say(text: str, mark: str = "waterspout: ") -> None:
    """Write one line to stderr. If that fails, the server runs, or stops, just the same."""
    try:
        click.echo(f"{mark}{text}", err=True)
    except BrokenPipeError:
        # The reader is gone for good. Without this, flushing the buffer would fail again when Python ends.
        if sys.stderr is sys.__stderr__:
            silence(2)
    except (OSError, ValueError):
        pass  # the disk is full, or the app has closed it
