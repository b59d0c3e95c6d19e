"""`python -m app`: the service, with the options of `waterspout serve`."""

import os
import sys

from waterspout.system.surroundings import end_early

end_early()  # before anything large is loaded

from app.settings import Settings, SettingsError, check_folder  # noqa: E402  # behind the line above
from waterspout.cli import make_serve_command  # noqa: E402  # behind it, too

PROGRAM = "python -m app"


def main() -> None:
    """Serve; or print one line about what is wrong with the environment, and exit with 2."""
    try:
        check_folder(Settings.from_environment(os.environ).folder)
    except SettingsError as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        sys.exit(2)
    make_serve_command("app.application:make_app()")(prog_name=PROGRAM)


if __name__ == "__main__":
    main()
