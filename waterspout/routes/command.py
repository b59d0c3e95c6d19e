"""`waterspout routes`: the rules of both sides, and what is wrong with them. See docs/routing.md."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import click
from tornado.web import Application as TornadoApplication

from waterspout.application import Application
from waterspout.exceptions import AccessUndeclared, TargetRaised, WaterspoutError
from waterspout.importer import look_here
from waterspout.options import OPTIONS
from waterspout.routes.listing import find_container
from waterspout.routing.containers import doubt_stock, find_containers
from waterspout.targets import build_application, check_named
from waterspout.wsgi.container import Container
from waterspout.wsgi.layers import find_flask
from waterspout.wsgi.worker.loading import load_app

if TYPE_CHECKING:
    from waterspout.routes.report import Report

_HELP: Final = """List the rules of both sides, in the order in which they are tried, and which are shadowed
or unreachable.

TARGET, --native and --wsgi are as in waterspout serve. The WSGI app is loaded, but nothing is served."""
_EPILOG: Final = """Example: waterspout routes --check --native shop.native:routes --wsgi shop.web:app

Exit status: 0 nothing to fix, 1 with --check: there are problems, 2 wrong option or name, 3 the app raised
while loading."""


def make_routes_command() -> click.Command:
    return click.Command(
        "routes",
        callback=_run,
        params=[
            click.Argument(["target"], required=False),
            *OPTIONS["What is served"],
            click.Option(["--check"], is_flag=True, help="Print only problems; if there are any, exit 1."),
            click.Option(["--json", "as_json"], is_flag=True, help="Print a JSON object, for programs."),
            click.Option(["--markdown"], is_flag=True, help="Print the table in Markdown, without sources."),
        ],
        help=_HELP,
        epilog=_EPILOG,
    )


@click.pass_context
def _run(
    context: click.Context,
    /,
    target: str | None,
    native: str | None,
    wsgi: str | None,
    *,
    check: bool,
    as_json: bool,
    markdown: bool,
) -> None:
    look_here()
    try:
        check_named(target, native, wsgi)
        # What is printed while the app is loaded is not part of the table.
        with contextlib.redirect_stdout(sys.stderr):
            report = _examine(build_application(target, native, wsgi))
    except WaterspoutError as error:
        click.echo(f"waterspout: {error}", err=True)
        # The application itself refuses to be made without that declaration: --check looks for just that.
        undeclared = isinstance(error, TargetRaised) and isinstance(error.__cause__, AccessUndeclared)
        context.exit(1 if check and undeclared else error.exit_code)
    _print(report, check=check, as_json=as_json, markdown=markdown)
    context.exit(1 if check and report.undeclared else 0)


def _examine(application: TornadoApplication) -> Report:
    # Imported here because `waterspout serve` does not need it, and starts a twentieth sooner without it.
    from waterspout.routes.judging import examine

    container = find_container(application)
    if container is None:
        report = examine(application, None, None)
    else:
        app = load_app(container.pool.target)
        report = examine(application, app, find_flask(app), _name_app(container))
    others = [
        f"not listed: the WSGI app {_name_app(other)}, which the rule {path!r} leads to"
        for other, path in find_containers(application).items()
        if other is not container
    ]
    doubts = application.doubts if isinstance(application, Application) else []
    return replace(report, notes=(*report.notes, *others, *doubts, *doubt_stock(application)))


def _name_app(container: Container) -> str:
    target = container.pool.target
    return target if isinstance(target, str) else getattr(target, "__qualname__", type(target).__qualname__)


def _print(report: Report, *, check: bool, as_json: bool, markdown: bool) -> None:
    if as_json:
        click.echo(report.as_json())
    elif markdown:
        click.echo(report.as_markdown())
    elif not check:
        click.echo(report.as_text())
    else:
        for text in (report.describe_findings(report.undeclared), *report.notes):
            if text:
                click.echo(text)
