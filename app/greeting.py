"""What the example prints when it starts: how to sign in. A real board prints nothing of the kind."""

from contextlib import suppress

import click

from app.first_run import EXAMPLE_OPERATOR
from app.passwords import derive_password, is_password
from app.settings import Settings
from app.store import Unknown
from app.store.operators import find_operator
from waterspout.cli import serving_address
from waterspout.service.sql import Store


def greet(settings: Settings) -> None:
    """Print how to sign in, if this is the example and its operator still has the initial password.

    Not under a command that does not serve: `waterspout routes` would put it into a log.
    """
    context = click.get_current_context(silent=True)
    if context is not None and "port" not in context.params:
        return
    password = derive_password(settings.secret_key, EXAMPLE_OPERATOR)
    if settings.example and has_password(settings, password):
        with suppress(OSError):  # a full disk, or the reader has gone: a restart prints it again
            click.echo(
                "\nThis is the example board, for you to play with.\n"
                f"Sign in at {serving_address()}/login\n"
                f"    Name      {EXAMPLE_OPERATOR}\n"
                f"    Password  {password}\n"
            )


def has_password(settings: Settings, password: str) -> bool:
    store = Store(settings.database_url)
    try:
        operator = store.read(find_operator, EXAMPLE_OPERATOR)
    except Unknown:
        return False
    finally:
        store.close()
    return operator.disabled_at is None and is_password(password, operator.password)
