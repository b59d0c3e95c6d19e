"""What is done at the command line of the machine: `flask --app wsgi_app COMMAND`."""

from collections.abc import Iterator
from contextlib import contextmanager

import click
from flask import Flask
from flask.cli import with_appcontext
from sqlalchemy.exc import DBAPIError

from app.database import DatabaseError
from app.first_run import prepare_database
from app.passwords import check_new_password, hash_password
from app.store import NAME_LENGTH, Refused, Unknown
from app.store.operators import (
    INVITATION_LASTS,
    add_invitation,
    add_operator,
    disable_operator,
    read_operators,
    set_password,
)
from wsgi_app.resources import current_settings, current_store


def add_commands(app: Flask) -> None:
    for command in (upgrade, create_operator, change_password, invite, list_operators, disable):
        app.cli.add_command(command)


@contextmanager
def in_one_line() -> Iterator[None]:
    """Turn what the board refuses into one line and exit code 1."""
    try:
        yield
    except Unknown as error:
        raise click.ClickException(f"there is no operator {error.args[0]}") from error
    except (Refused, DatabaseError) as error:
        raise click.ClickException(str(error)) from error
    except DBAPIError as error:
        hint = "If it has no tables yet: flask --app wsgi_app upgrade"
        raise click.ClickException(f"the database can't be used: {error.orig}. {hint}") from error


def ask_password() -> str:
    """Ask for a new password until it will do, and return its hash."""
    password: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    return hash_password(check_new_password(password))


@click.command("upgrade")
@with_appcontext
def upgrade() -> None:
    """Make the database's tables, or bring them up to date."""
    with in_one_line():
        prepare_database(current_settings())
    click.echo("The database is up to date.")


@click.command("create-operator")
@click.argument("name")
@with_appcontext
def create_operator(name: str) -> None:
    """Make an operator. The password is asked for."""
    name = " ".join(name.split())
    if not name.isprintable() or not 1 <= len(name) <= NAME_LENGTH:
        raise click.ClickException(f"a name has 1 to {NAME_LENGTH} printable characters")
    with in_one_line():
        current_store().write(add_operator, name, ask_password())
    click.echo(f"{name} can sign in now.")


@click.command("set-password")
@click.argument("name")
@with_appcontext
def change_password(name: str) -> None:
    """Give an operator another password, which ends their sessions."""
    with in_one_line():
        current_store().write(set_password, name, ask_password())
    click.echo(f"{name} has another password now.")


@click.command("invite")
@with_appcontext
def invite() -> None:
    """Print a link by which one person becomes an operator."""
    with in_one_line():
        token = current_store().write(add_invitation)
    public_url = current_settings().url
    if not public_url:
        click.echo("Put the board's address before it (or set BOARD_URL):", err=True)
    click.echo(f"{public_url}/join/{token}")
    click.echo(f"It works once, within {INVITATION_LASTS.days} days.", err=True)


@click.command("list-operators")
@with_appcontext
def list_operators() -> None:
    """Print each operator: name, since when, and whether disabled."""
    with in_one_line():
        operators = current_store().read(read_operators)
    for operator in operators:
        disabled = f"disabled {operator.disabled_at:%Y-%m-%d}" if operator.disabled_at else "active"
        click.echo(f"{operator.name}\t{operator.created_at:%Y-%m-%d}\t{disabled}")


@click.command("disable-operator")
@click.argument("name")
@with_appcontext
def disable(name: str) -> None:
    """Keep an operator out from now on, and end their sessions."""
    with in_one_line():
        current_store().write(disable_operator, name)
    click.echo(f"{name} can't sign in any more.")
