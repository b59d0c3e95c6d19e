"""`python -m app`: the service, with the options of `waterspout serve`."""

import os
import sys
from importlib.util import find_spec
from typing import NoReturn

from waterspout.system.surroundings import end_early

end_early()  # before anything large is loaded

from waterspout.cli import make_serve_command  # noqa: E402  # behind the line above

PROGRAM = "python -m app"

# What the extra `app` of setup.cfg installs.
PACKAGES = (
    *("aiosqlite", "alembic", "argon2", "flask", "flask_login", "flask_wtf", "jinja2", "sqlalchemy"),
    "wtforms",
)


def main() -> None:
    """Serve; or print one line about what is wrong with the environment, and exit with 2."""
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        refuse(f"there is no package {', '.join(missing)}: install the extra app, pip install '.[app]'")
    from app.settings import Settings, SettingsError, check_folder

    try:
        check_folder(Settings.from_environment(os.environ).folder)
    except SettingsError as error:
        refuse(str(error))
    make_serve_command("app.application:make_app()")(prog_name=PROGRAM)


def refuse(reason: str) -> NoReturn:
    print(f"{PROGRAM}: {reason}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
