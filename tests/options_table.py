"""The tables in docs/options.md: `python -m tests.options_table` writes them, a test compares them."""

from pathlib import Path

import click

from waterspout.container_settings import CONTAINER_SETTINGS
from waterspout.options import OPTIONS

PAGE = Path(__file__).resolve().parent.parent / "docs" / "options.md"

MARK = "<!-- options: written by make options -->\n"
#: The options that can also be set in code, each with the setting's name.
SETTINGS = {"native": "native", "wsgi": "wsgi", "wsgi_pool": "wsgi_pools"} | {
    name: name for name in (*CONTAINER_SETTINGS, "native_max_body_size", "native_buffer")
}
#: One that is set in two places. (`debug` of an application is Tornado's.)
IN_WORDS = {"debug": "`serve_traceback`, and `debug` of a `Container`"}


def print_tables():
    """The tables, made from the options."""
    return "".join(_print_group(heading, options) for heading, options in OPTIONS.items())


def read_tables():
    """The tables on the page."""
    return PAGE.read_text().partition(MARK)[2]


def _print_group(heading, options):
    rows = [f"| {' | '.join(_describe(option))} |\n" for option in options]
    head = "| option | default | in code | what it means |\n|---|---|---|---|\n"
    return f"\n## {heading}\n\n{head}{''.join(rows)}"


def _describe(option):
    names = " / ".join((*option.opts, *option.secondary_opts))
    value = "" if option.is_flag else f" {option.make_metavar(click.Context(click.Command('serve')))}"
    setting = SETTINGS.get(option.name, "")
    default = option.default if isinstance(option.default, (str, int, float)) else None
    yield f"`{names}{value}`".replace("|", "\\|")
    yield _print_default(option, default)
    yield IN_WORDS.get(option.name) or (f"`{setting}`" if setting else "")
    yield option.help.replace("|", "\\|")


def _print_default(option, default):
    if default is None or isinstance(default, bool):
        return "on" if default else ""
    return f"{default:g}" if isinstance(default, float) else str(default)


if __name__ == "__main__":
    PAGE.write_text(PAGE.read_text().partition(MARK)[0] + MARK + print_tables())
