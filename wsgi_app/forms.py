"""What the form at `/admin/` may send: parsers return a draft, or raise with a sentence for each field."""

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from app.store import LARGEST_ID, TEXT_LENGTH, TITLE_LENGTH, State

# Unicode's control characters and lone surrogates: nobody types them, and PostgreSQL refuses some.
UNPRINTABLE = frozenset({"Cc", "Cs"})
LARGEST_ID_DIGITS = len(str(LARGEST_ID))


class InvalidForm(ValueError):
    """The form can't be accepted.

    Attributes: `errors` (dict[str, str]), a sentence for the person, by field name.
    """

    def __init__(self, errors: dict[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {sentence}" for name, sentence in errors.items()))
        self.errors = errors


class InvalidField(ValueError):
    """One field can't be accepted; the text is the sentence for the person."""


@dataclass(frozen=True, slots=True)
class IncidentDraft:
    title: str
    state: State
    text: str


@dataclass(frozen=True, slots=True)
class UpdateDraft:
    incident: int
    state: State
    text: str


def parse_incident(form: Mapping[str, str]) -> IncidentDraft:
    """Return a new incident with its first update; raises InvalidForm."""
    return IncidentDraft(**parse_fields(form, title=parse_title, state=parse_state, text=parse_text))


def parse_update(form: Mapping[str, str]) -> UpdateDraft:
    """Return an update to an incident, which may not exist; raises InvalidForm."""
    return UpdateDraft(**parse_fields(form, incident=parse_id, state=parse_state, text=parse_text))


def parse_fields(form: Mapping[str, str], **parsers: Callable[[str], Any]) -> dict[str, Any]:
    """Run each parser on the field of its name; raises InvalidForm with all that they refuse."""
    values, errors = {}, {}
    for name, parse in parsers.items():
        try:
            values[name] = parse(form.get(name, ""))
        except InvalidField as error:
            errors[name] = str(error)
    if errors:
        raise InvalidForm(errors)
    return values


def parse_title(raw: str) -> str:
    """Return the title on one line; raises InvalidField."""
    return check_length(" ".join(raw.split()), TITLE_LENGTH, "Give the incident a title.")


def parse_text(raw: str) -> str:
    """Return the text with its line breaks as "\\n" (forms send "\\r\\n"); raises InvalidField."""
    text = raw.replace("\r\n", "\n").replace("\r", "\n").strip()
    return check_length(text, TEXT_LENGTH, "Say what is going on.")


def check_length(text: str, limit: int, if_empty: str) -> str:
    """Return the text as it is; raises InvalidField if it is empty, too long, or not printable."""
    if not text:
        raise InvalidField(if_empty)
    if len(text) > limit:
        raise InvalidField(f"Shorten this to {limit} characters: it has {len(text)}.")
    if any(unicodedata.category(character) in UNPRINTABLE for character in text if character not in "\n\t"):
        raise InvalidField("Remove the control characters.")
    return text


def parse_state(raw: str) -> State:
    """Return the state of this name; raises InvalidField."""
    try:
        return State(raw)
    except ValueError:
        raise InvalidField("Choose a state.") from None


def parse_id(raw: str) -> int:
    """Return the id of an incident; raises InvalidField."""
    if not (raw.isascii() and raw.isdigit() and len(raw) <= LARGEST_ID_DIGITS):
        raise InvalidField("Choose an incident.")
    return int(raw)
