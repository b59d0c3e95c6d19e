"""What is done on the machine's command line: `flask --app wsgi_app COMMAND`."""

from collections.abc import Iterator
from contextlib import contextmanager

import click
from flask import Blueprint
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from app.passwords import hash_new_password
from app.store import Refused, Unknown
from app.store.names import check_name
from app.store.operators import (
    INVITATION_LASTS,
    add_invitation,
    add_operator,
    disable_operator,
    read_operators,
    set_password,
)
from app.store.tables import Attachment
from waterspout.service.sql import DatabaseError
from wsgi_app.attachments import folder
from wsgi_app.resources import current_settings, current_store

commands = Blueprint("commands", __name__, cli_group=None)


@contextmanager
def in_one_line() -> Iterator[None]:
    """Turn the board's refusals into one line and exit code 1."""
    try:
        yield
    except (Refused, Unknown, DatabaseError) as error:
        raise click.ClickException(str(error)) from error
    except DBAPIError as error:
        hint = "If it has no tables yet: flask --app wsgi_app upgrade"
        raise click.ClickException(f"the database can't be used: {error.orig}. {hint}") from error


def ask_password() -> str:
    """Ask for a new password, and return its hash; raises `Refused`."""
    return hash_new_password(click.prompt("Password", hide_input=True, confirmation_prompt=True))


@commands.cli.command("upgrade")
@in_one_line()
def upgrade() -> None:
    """Make the database's tables, or bring them up to date."""
    # Here, not above: serving pages doesn't need Alembic.
    from app.first_run import prepare_database

    prepare_database(current_settings())
    click.echo("The database is up to date.")


@commands.cli.command("create-operator")
@click.argument("name")
@in_one_line()
def create_operator(name: str) -> None:
    """Make an operator. The password is asked for."""
    name = check_name(name)  # before the password is asked for
    current_store().write(add_operator, name, ask_password())
    click.echo(f"{name} can sign in now.")


@commands.cli.command("set-password")
@click.argument("name")
@in_one_line()
def change_password(name: str) -> None:
    """Give an operator another password, which ends their sessions."""
    current_store().write(set_password, name, ask_password())
    click.echo(f"{name} has another password now.")


@commands.cli.command("invite")
@in_one_line()
def invite() -> None:
    """Print a link by which one person becomes an operator."""
    token = current_store().write(add_invitation)
    settings = current_settings()
    if not settings.url:
        click.echo("Put the board's address before it (or set BOARD_URL):", err=True)
    click.echo(f"{settings.url}{settings.root_path}/join/{token}")
    click.echo(f"It works once, within {INVITATION_LASTS.days} days.", err=True)


@commands.cli.command("list-operators")
@in_one_line()
def list_operators() -> None:
    """Print each operator: name, since when, and whether disabled."""
    for operator in current_store().read(read_operators):
        disabled = f"disabled {operator.disabled_at:%Y-%m-%d}" if operator.disabled_at else "active"
        click.echo(f"{operator.name}\t{operator.created_at:%Y-%m-%d}\t{disabled}")


@commands.cli.command("disable-operator")
@click.argument("name")
@in_one_line()
def disable(name: str) -> None:
    """Keep an operator out from now on, and end their sessions."""
    current_store().write(disable_operator, name)
    click.echo(f"{name} can't sign in any more.")


@commands.cli.command("sweep")
@in_one_line()
def sweep() -> None:
    """Remove attachments' files that no update has: what a kill in the middle of a post left behind."""
    known = current_store().read(lambda session: set(session.scalars(select(Attachment.stored_as))))
    click.echo(f"{folder().sweep(known)} removed.")
