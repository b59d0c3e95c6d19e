"""What the forms take. Each complaint is a sentence for the person who filled one in."""

import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from flask_wtf import FlaskForm
from flask_wtf.file import MultipleFileField
from wtforms import (
    DateTimeLocalField,
    Field,
    PasswordField,
    StringField,
    TextAreaField,
    ValidationError,
)
from wtforms.form import BaseForm
from wtforms.validators import InputRequired, Length, StopValidation

from app.passwords import PASSWORD_LENGTH, PASSWORD_LENGTH_AT_MOST, check_new_password
from app.store import LARGEST_ID, NAME_LENGTH, TEXT_LENGTH, TITLE_LENGTH, Component, Impact, Refused, State

# Unicode's control characters and lone surrogates: nobody types them, and PostgreSQL refuses some.
UNPRINTABLE = frozenset({"Cc", "Cs"})
LARGEST_ID_DIGITS = len(str(LARGEST_ID))

STATES = [(state.value, state.value.capitalize()) for state in State]
IMPACTS = [
    (Impact.MINOR.value, "Minor: slower or less than usual"),
    (Impact.MAJOR.value, "Major: partly out of order"),
    (Impact.CRITICAL.value, "Critical: out of order"),
]


def one_line(raw: object) -> str:
    """Return the text with its blanks tidied; nothing for what is no text, such as a file."""
    return " ".join(raw.split()) if isinstance(raw, str) else ""


def many_lines(raw: object) -> str:
    """Return the text with its line breaks as "\\n": forms send "\\r\\n"."""
    return raw.replace("\r\n", "\n").replace("\r", "\n").strip() if isinstance(raw, str) else ""


def is_id(raw: str) -> bool:
    """Whether it could be an incident's number."""
    return raw.isascii() and raw.isdigit() and len(raw) <= LARGEST_ID_DIGITS


def check_printable(form: BaseForm, field: Field) -> None:
    text = (field.data or "").replace("\n", "").replace("\t", "")
    if any(unicodedata.category(character) in UNPRINTABLE for character in text):
        raise ValidationError("Remove the control characters.")


def written(limit: int, if_empty: str) -> list[Any]:
    """The validators of a text that must be there."""
    return [
        Required(if_empty),
        Length(max=limit, message=f"Shorten this to {limit} characters."),
        check_printable,
    ]


class Required(InputRequired):
    """Complains of a field that is empty once it was tidied, too."""

    def __call__(self, form: BaseForm, field: Field) -> None:
        super().__call__(form, field)
        if not field.data:
            raise StopValidation(self.message or "")


class Choice(StringField):
    """One of some values, for a menu: `options` are pairs of a value and what people read."""

    def __init__(self, label: str, complaint: str, options: Sequence[tuple[str, str]], **more: Any) -> None:
        super().__init__(label, **more)
        self.complaint = complaint
        self.options = options

    def pre_validate(self, form: BaseForm) -> None:
        if self.data not in {value for value, _ in self.options}:
            raise ValidationError(self.complaint)


class Components(Field):
    """Components to tick: `data` is a list of their numbers, `options` as those of `Choice`."""

    options: Sequence[tuple[str, str]] = ()

    def offer(self, components: Sequence[Component]) -> None:
        self.options = [(str(component.id), component.name) for component in components]

    def process_formdata(self, valuelist: list[Any]) -> None:
        self.data = valuelist

    def pre_validate(self, form: BaseForm) -> None:
        if not set(self.data or ()) <= {value for value, _ in self.options}:
            raise ValidationError("One of these components is no longer there. Choose again.")

    @property
    def ids(self) -> list[int]:
        return [int(value) for value in self.data or ()]


class BoardForm(FlaskForm):  # type: ignore[misc]
    """A form with Flask-WTF's token, which every post is asked for before its view runs."""

    def refuse(self, error: Refused | str, field: str) -> None:
        """Put a complaint of the store's beside a field."""
        self[field].errors = [str(error)]


class UpdateForm(BoardForm):
    """Something new about an incident."""

    incident = StringField("Incident", filters=[one_line])
    state = Choice("State", "Choose a state.", STATES)
    text = TextAreaField(
        "Message", written(TEXT_LENGTH, "Say what is going on."), filters=[many_lines], render_kw={"rows": 5}
    )
    impact = Choice("Impact", "Choose an impact.", [("", "As it is"), *IMPACTS], default="")
    files = MultipleFileField("Files")

    def validate_incident(self, field: Field) -> None:
        if not is_id(field.data or ""):
            raise ValidationError("Choose an incident.")


class IncidentForm(BoardForm):
    """A new incident, with the first that is said about it."""

    title = StringField("Title", written(TITLE_LENGTH, "Give the incident a title."), filters=[one_line])
    impact = Choice("Impact", "Choose an impact.", IMPACTS, default=Impact.MINOR.value)
    components = Components("Components")
    state = Choice("State", "Choose a state.", STATES)
    text = TextAreaField(
        "Message", written(TEXT_LENGTH, "Say what is going on."), filters=[many_lines], render_kw={"rows": 5}
    )
    files = MultipleFileField("Files")


class UTCField(DateTimeLocalField):
    """A moment to the minute, in UTC: what the browser sends has no zone."""

    def process_formdata(self, valuelist: list[Any]) -> None:
        try:
            super().process_formdata(valuelist)
        except (ValueError, OverflowError):
            self.data = None
            raise ValueError("Give a day and a time.") from None
        self.data = self.data.replace(tzinfo=UTC) if isinstance(self.data, datetime) else None


class MaintenanceForm(BoardForm):
    """Work to announce."""

    title = StringField("Title", written(TITLE_LENGTH, "Give it a title."), filters=[one_line])
    text = TextAreaField(
        "What to expect",
        written(TEXT_LENGTH, "Say what to expect."),
        filters=[many_lines],
        render_kw={"rows": 4},
    )
    components = Components("Components")
    starts_at = UTCField("From (UTC)", [Required("Give a day and a time.")], format="%Y-%m-%dT%H:%M")
    ends_at = UTCField("Until (UTC)", [Required("Give a day and a time.")], format="%Y-%m-%dT%H:%M")


class ComponentForm(BoardForm):
    """A component's name."""

    name = StringField("Name", written(NAME_LENGTH, "Give it a name."), filters=[one_line])


class SignInForm(BoardForm):
    """Who signs in. Says nothing of how names and passwords are made."""

    name = StringField("Name", [Required("Give your name."), check_printable], filters=[one_line])
    password = PasswordField("Password", [InputRequired("Give your password.")])


class JoinForm(BoardForm):
    """A new operator, who has been invited."""

    name = StringField("Name", written(NAME_LENGTH, "Give your name."), filters=[one_line])
    password = PasswordField(
        "Password",
        [InputRequired("Choose a password.")],
        render_kw={"minlength": PASSWORD_LENGTH, "maxlength": PASSWORD_LENGTH_AT_MOST},
    )

    def validate_password(self, field: Field) -> None:
        try:
            check_new_password(field.data or "")
        except Refused as error:
            raise ValidationError(str(error)) from None
