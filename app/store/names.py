"""Names of operators and components: what they may contain."""

import unicodedata

from app.store import Refused
from app.store.tables import NAME_LENGTH

# Unicode's control characters and lone surrogates: nobody types them, and PostgreSQL refuses some.
UNPRINTABLE = frozenset({"Cc", "Cs"})
# Noncharacters, the only others that XML refuses: with one of them in a title, no reader accepts the feed.
NONCHARACTERS = frozenset("\ufffe\uffff")


def check_name(name: str) -> str:
    """Return the name with its whitespace normalised; raises `Refused`."""
    tidy = " ".join(name.split())
    if not tidy:
        raise Refused("Give a name.", "name")
    if len(tidy) > NAME_LENGTH:
        raise Refused(f"Shorten this to {NAME_LENGTH} characters.", "name")
    check_characters(tidy, "name")
    return tidy


def check_characters(text: str, field: str = "") -> None:
    """Raises `Refused` for characters that nobody can read."""
    if NONCHARACTERS & set(text) or any(unicodedata.category(each) in UNPRINTABLE for each in text):
        raise Refused("Remove the control characters.", field)
