"""The forms. Each error message is a sentence for the person who filled one in."""

import hashlib
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, TypeVar

from flask import request
from flask_wtf import FlaskForm
from flask_wtf.file import MultipleFileField
from wtforms import (
    DateTimeLocalField,
    Field,
    PasswordField,
    SelectField,
    SelectMultipleField,
    StringField,
    TextAreaField,
    ValidationError,
)
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # newer than its stubs
from wtforms.form import BaseForm
from wtforms.validators import DataRequired, InputRequired, Length

from app.passwords import PASSWORD_LENGTH, PASSWORD_LENGTH_AT_MOST, hash_new_password
from app.store import Refused, Unknown
from app.store.components import NO_COMPONENT, read_components
from app.store.incidents import Repeated, read_board, read_incident
from app.store.names import check_characters, check_name
from app.store.tables import NAME_LENGTH, TEXT_LENGTH, TITLE_LENGTH, Attachment, Impact, State
from wsgi_app.attachments import stored
from wsgi_app.resources import current_store
from wsgi_app.sessions import current_actor

CHOOSE = SelectChoice("", "Choose…")
AS_IT_IS = SelectChoice("", "As it is")
STATES = [SelectChoice(state, state.capitalize()) for state in State]
IMPACTS = [
    SelectChoice(Impact.MINOR, "Minor: slower or less than usual"),
    SelectChoice(Impact.MAJOR, "Major: partly out of order"),
    SelectChoice(Impact.CRITICAL, "Critical: out of order"),
]

T = TypeVar("T")


def one_line(raw: object) -> str:
    """Return the text with its whitespace normalised; "" for anything that is not text, such as a file."""
    return " ".join(raw.split()) if isinstance(raw, str) else ""


def many_lines(raw: object) -> str:
    """Return the text with its line breaks as "\\n": forms send "\\r\\n"."""
    return raw.replace("\r\n", "\n").replace("\r", "\n").strip() if isinstance(raw, str) else ""


def number(raw: object) -> int:
    """Return the value as what could be a row's number; raises ValueError."""
    if not re.fullmatch("[0-9]{1,10}", str(raw)):
        raise ValueError(raw)
    return int(str(raw))


def check_printable(form: BaseForm, field: Field) -> None:
    try:
        check_characters((field.data or "").replace("\n", "").replace("\t", ""))
    except Refused as error:
        raise ValidationError(str(error)) from error


def check_named(form: BaseForm, field: Field) -> None:
    try:
        check_name(field.data or "")
    except Refused as error:
        raise ValidationError(str(error)) from error


def name_line(if_empty: str) -> StringField:
    """The name of an operator or a component."""
    validators = [DataRequired(if_empty), check_named]
    return StringField("Name", validators, filters=[one_line], render_kw={"maxlength": NAME_LENGTH})


def title_line(if_empty: str) -> StringField:
    """A required title."""
    too_long = Length(max=TITLE_LENGTH, message=f"Shorten this to {TITLE_LENGTH} characters.")
    return StringField("Title", [DataRequired(if_empty), too_long, check_printable], filters=[one_line])


def message(label: str, if_empty: str) -> TextAreaField:
    """A required text of several lines."""
    too_long = Length(max=TEXT_LENGTH, message=f"Shorten this to {TEXT_LENGTH} characters.")
    validators = [DataRequired(if_empty), too_long, check_printable]
    return TextAreaField(label, validators, filters=[many_lines], render_kw={"rows": 5})


def choice(
    label: str, kind: Callable[[str], Any], complaint: str, choices: Any, required: bool = False, **more: Any
) -> SelectField:
    """One value of a menu, converted by `kind`; None for the empty one."""
    return SelectField(  # type: ignore[call-arg]  # `invalid_value_message` is newer than its stubs
        label,
        [DataRequired(complaint)] if required else [],
        coerce=lambda raw: kind(raw) if raw else None,
        choices=choices,
        validate_choice=False,  # by `kind`, and by the store
        invalid_value_message=complaint,
        **more,
    )


def tick_components() -> SelectMultipleField:
    """Components to tick: `data` is a list of their ids. The store checks whether they exist."""
    return SelectMultipleField(  # type: ignore[call-arg]  # the same
        "Components",
        coerce=number,
        choices=component_choices,
        validate_choice=False,
        invalid_value_message=NO_COMPONENT,
    )


def component_choices() -> list[SelectChoice]:
    return [SelectChoice(str(each.id), each.name) for each in current_store().read(read_components)]


def incident_choices() -> list[SelectChoice]:
    """The incidents on the board, and the one that the link or the form names."""
    store = current_store()
    listed = list(store.read(read_board).incidents)
    with suppress(Unknown, ValueError):
        wanted = number(request.values.get("incident"))
        if wanted not in {incident.id for incident in listed}:
            listed.insert(0, store.read(read_incident, wanted))
    return [CHOOSE, *(SelectChoice(str(each.id), f"{each.title} ({each.state.value})") for each in listed)]


class UTCField(DateTimeLocalField):
    """A moment to the minute, in UTC: what the browser sends has no time zone."""

    def __init__(self, label: str, **more: Any) -> None:
        super().__init__(label, [DataRequired("Give a day and a time.")], format="%Y-%m-%dT%H:%M", **more)

    def process_formdata(self, valuelist: list[Any]) -> None:
        try:
            super().process_formdata(valuelist)
        except (ValueError, OverflowError):
            self.data = None
            raise ValueError("Give a day and a time.") from None
        self.data = self.data.replace(tzinfo=UTC) if isinstance(self.data, datetime) else None


class BoardForm(FlaskForm):  # type: ignore[misc]  # Flask-WTF has no types
    """A form with Flask-WTF's token, which is checked for every post before its view runs."""

    class Meta(FlaskForm.Meta):  # type: ignore[misc]  # Flask-WTF has no types
        def wrap_formdata(self, form: BaseForm, formdata: Any) -> Any:
            """Return what fills in the fields. Where no files are expected, none is taken for text; nor is
            JSON taken for a form, as Flask-WTF would do, whatever is in it.
            """
            if request.is_json:
                return None
            sent = super().wrap_formdata(form, formdata)
            return sent if sent in (None, formdata) or "files" in form else request.form

    def submit(self, write: Callable[..., T], *args: Any, **more: Any) -> T | None:
        """Commit what the form says, and return what `write` returns: a function of the store that takes the
        fields by name. None if something is wrong: the error is then shown beside its field.
        """
        if not self.validate():
            return None
        try:
            return self.commit(write, *args, **more)
        except Refused as error:
            if error.field not in self:
                raise
            self[error.field].errors = [str(error)]
            return None

    def commit(self, write: Callable[..., T], *args: Any, **more: Any) -> T:
        values = {name: value for name, value in self.data.items() if name != "csrf_token"}
        return current_store().write(write, *args, **{"by": current_actor(), **values, **more})


class PostForm(BoardForm):
    """An update on an incident: its files are kept only if it is posted. One that is sent twice, by a double
    click, is posted once.
    """

    state = choice("State", State, "Choose a state.", [CHOOSE, *STATES], required=True)
    text = message("Message", "Say what is going on.")
    files = MultipleFileField("Files")

    def commit(self, write: Callable[..., Any], *args: Any, **more: Any) -> Any:
        try:
            with stored(self.files.data or []) as files:
                return super().commit(write, *args, **more, files=files, form=fingerprint(files))
        except Repeated as error:
            return error.update


def fingerprint(files: Iterable[Attachment]) -> str:
    """Return a value that identifies the form that was sent: from its token, and everything in it.

    "" for one without a token: from a script, which sends it in a header.
    """
    if "csrf_token" not in request.form:
        return ""
    content = (sorted(request.form.items(multi=True)), [file.sha256 for file in files])
    return hashlib.sha256(repr(content).encode()).hexdigest()


class UpdateForm(PostForm):
    """Something new about an incident."""

    incident = choice("Incident", number, "Choose an incident.", incident_choices, required=True)
    impact = choice("Impact", Impact, "Choose an impact.", [AS_IT_IS, *IMPACTS])

    def commit(self, write: Callable[..., Any], *args: Any, **more: Any) -> Any:
        try:
            return super().commit(write, *args, **more)
        except Unknown as error:
            raise Refused(str(error), "incident") from error


class IncidentForm(PostForm):
    """A new incident, with its first update."""

    title = title_line("Give the incident a title.")
    impact = choice("Impact", Impact, "Choose an impact.", IMPACTS, default=Impact.MINOR)
    components = tick_components()


class ConcernForm(BoardForm):
    """Which components an incident concerns."""

    components = tick_components()


class MaintenanceForm(BoardForm):
    """Work to announce."""

    title = title_line("Give it a title.")
    text = message("What to expect", "Say what to expect.")
    components = tick_components()
    starts_at = UTCField("From (UTC)")
    ends_at = UTCField("Until (UTC)")


class ComponentForm(BoardForm):
    """A component's name."""

    name = name_line("Give it a name.")


class SignInForm(BoardForm):
    """Signing in. Reveals nothing about the rules for names and passwords."""

    name = StringField("Name", [DataRequired("Give your name."), check_printable], filters=[one_line])
    password = PasswordField("Password", [InputRequired("Give your password.")])


class JoinForm(BoardForm):
    """A new operator, who has been invited."""

    name = name_line("Give your name.")
    password = PasswordField(
        "Password",
        [InputRequired("Choose a password.")],
        render_kw={"minlength": PASSWORD_LENGTH, "maxlength": PASSWORD_LENGTH_AT_MOST},
    )

    def commit(self, write: Callable[..., T], *args: Any, **more: Any) -> T:
        password_hash = hash_new_password(self.password.data or "")  # slow: not in a transaction
        return current_store().write(write, *args, name=self.name.data, password_hash=password_hash, **more)
