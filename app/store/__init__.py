"""The board's data. Knows neither Tornado nor Flask.

`tables` is what is kept; each other module reads and changes one part of it, with functions that take a
session, which `waterspout.service.sql` runs for both sides.
"""

# The topic on which Flask notifies the native side of each change, after its commit: {"update": newest id,
# "version": see `history.read_version`}, and "incident": its id, if it was an update to one.
TOPIC = "incidents"


class Unknown(LookupError):
    """Nothing has this number or name. The text is a sentence for the user."""


class Refused(ValueError):
    """A rule of the board forbids it: a sentence, and the form `field` that it is about, if any."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field
