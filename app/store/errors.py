"""What the store refuses. Each error's text is a sentence for the person who asked."""

# PostgreSQL's INTEGER ends here; a larger number in a URL names nothing.
LARGEST_ID = 2**31 - 1


class Unknown(LookupError):
    """Nothing has this id."""


class UnknownIncident(Unknown):
    """No incident has this id."""


class UnknownComponent(Unknown):
    """No component has this id, or an archived one."""


class UnknownMaintenance(Unknown):
    """No maintenance has this id."""


class UnknownOperator(Unknown):
    """No operator has this id, or name."""


class UnknownAttachment(Unknown):
    """No attachment has this id."""


class Refused(ValueError):
    """A rule of the board forbids it."""


def check_id(number: int, error: type[Unknown]) -> None:
    """Raise the error for a number that the database could not even be asked about."""
    if not 0 < number <= LARGEST_ID:
        raise error(number)
