"""What ends a benchmark."""


class BenchmarkError(Exception):
    """No figure can be trusted from here on. Its text says what happened; `exit_code` is the command's."""

    exit_code = 1


class Unprepared(BenchmarkError):
    """This machine lacks something. Its text says what to install."""

    exit_code = 2
