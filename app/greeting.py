"""What the example says when it starts: how to sign in. A board of one's own says nothing of the kind."""

import click

from app.first_run import EXAMPLE_OPERATOR
from app.keys import derive_password
from app.passwords import is_password
from app.settings import Settings
from app.store import Store, Unknown
from app.store.operators import find_operator


def greet(settings: Settings) -> None:
    """Print how to sign in, if this is the example, and its operator still has the password it began with.

    Not under a command that does not serve: `waterspout routes` would tell it to a log.
    """
    context = click.get_current_context(silent=True)
    if context is not None and "port" not in context.params:
        return
    password = derive_password(settings.secret_key, EXAMPLE_OPERATOR)
    if settings.example and has_password(settings, password):
        click.echo(
            "\nThis is the example board, for you to play with.\n"
            f"Sign in at {find_address()}/login\n"
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


def find_address() -> str:
    """Return where the command in hand will serve, as far as its options tell."""
    context = click.get_current_context(silent=True)
    options = context.params if context else {}
    host, port = options.get("host"), options.get("port")
    if not host or not port or options.get("unix"):
        return ""
    scheme = "https" if options.get("certfile") else "http"
    name = "localhost" if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host
    return f"{scheme}://{name}:{port}"
