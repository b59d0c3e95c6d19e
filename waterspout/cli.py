"""The command `waterspout`. A contract: see the design, section 6."""

from __future__ import annotations

import asyncio
import re
import sys
import traceback
from collections.abc import Callable
from typing import Any, Final

import click
from click.core import ParameterSource
from tornado.web import Application as TornadoApplication

from waterspout import __version__, limits, logs
from waterspout.application import Application
from waterspout.exceptions import ConfigurationError, TargetNotFound, TargetRaised, WaterspoutError
from waterspout.importer import resolve
from waterspout.server import Server
from waterspout.settings import ServeSettings

#: Options that are the application's, by the name of its setting.
_APPLICATION_OPTIONS: Final = (
    "wsgi_workers",
    "wsgi_threads",
    "wsgi_queue",
    "max_body_size",
    "native_max_body_size",
    "graceful_timeout",
    "trusted_proxies",
)


class Size(click.ParamType[int]):
    """A number of bytes: 4096, 64KiB, 10MiB, 1GiB."""

    name = "size"
    _UNITS: Final = {"": 1, "b": 1, "kib": limits.KIB, "mib": limits.MIB, "gib": limits.GIB}

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"([0-9]{1,15})\s*([a-z]*)", str(value).strip().lower())
        if match is None or match[2] not in self._UNITS:
            self.fail(f"{value!r} is not a size like 4096, 64KiB, 10MiB or 1GiB", param, ctx)
        return int(match[1]) * self._UNITS[match[2]]


class Port(click.IntRange):
    """A port, or 0 for any free one.

    Where a Service is called "waterspout", Kubernetes sets WATERSPOUT_PORT to tcp://10.0.0.1:80: not meant
    for us, so the default is taken.
    """

    name = "port"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if str(value).startswith("tcp://"):
            click.echo(f"waterspout: WATERSPOUT_PORT={value} is not for us: ignored", err=True)
            value = _DEFAULT_PORT
        return super().convert(value, param, ctx)


_DEFAULT_PORT: Final = 8888


def _option(*names: str, **attributes: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A click option with its WATERSPOUT_... variable and its default in the help."""
    name = names[0].partition("/")[0].lstrip("-").replace("-", "_")
    variable = f"WATERSPOUT_{name.upper()}"
    return click.option(*names, envvar=variable, show_envvar=True, show_default=True, **attributes)


def make_serve_command(default_target: str | None = None) -> click.Command:
    """`waterspout serve`, or the same for a service that knows what it serves: `default_target`."""

    @click.command("serve", help=_HELP, epilog=_EPILOG)
    @click.argument("target", required=False)
    @_option("--native", metavar="MODULE:ROUTES", help="A list of Tornado rules.")
    @_option("--wsgi", metavar="MODULE:CALLABLE", help="A WSGI app; with () behind it, a factory of one.")
    @_option("--host", default="127.0.0.1", help="Address to listen on.")
    @_option("--port", type=Port(0, 65535), default=_DEFAULT_PORT, help="0: any free port.")
    @_option(
        "--wsgi-workers",
        type=click.IntRange(0, 512),
        default=limits.WSGI_WORKERS,
        help="WSGI processes; 0: threads of the server's own process.",
    )
    @_option(
        "--wsgi-threads",
        type=click.IntRange(1, 1024),
        default=limits.WSGI_THREADS,
        help="Requests that each of them runs at a time.",
    )
    @_option(
        "--wsgi-queue",
        type=click.IntRange(0),
        default=limits.WSGI_QUEUE,
        help="Requests that may wait for a free thread; one more gets 503.",
    )
    @_option(
        "--max-body-size", type=Size(), default="1GiB", help="Largest body for WSGI and streaming handlers."
    )
    @_option(
        "--native-max-body-size",
        type=Size(),
        default="10MiB",
        help="Largest body for a native handler that is handed it whole.",
    )
    @_option(
        "--graceful-timeout",
        type=click.FloatRange(0),
        default=limits.GRACEFUL_TIMEOUT,
        metavar="SECONDS",
        help="How long running requests get after SIGTERM or Ctrl-C.",
    )
    @_option(
        "--trusted-proxies",
        metavar="CIDR,...",
        help="Networks whose X-Forwarded-... headers the WSGI app may see.",
    )
    @_option(
        "--loop",
        type=click.Choice(["auto", "asyncio", "uvloop"]),
        default="auto",
        help="auto: uvloop if installed.",
    )
    @_option(
        "--server",
        type=click.Choice(["waterspout", "httptools", "tornado"]),
        default="waterspout",
        help="HTTP server: our own (httptools is another word for it), or Tornado's.",
    )
    @_option("--access-log/--no-access-log", default=True, help="One line for each request.")
    @_option(
        "--debug", is_flag=True, help="Tracebacks and debugger in the browser (no reloader); loopback only."
    )
    @click.pass_context
    def serve(context: click.Context, /, target: str | None, **options: Any) -> None:
        _run(context, target, default_target, options)

    return serve


_HELP: Final = """Serve native Tornado routes and a WSGI app on one port.

TARGET is MODULE:APPLICATION or MODULE:FACTORY(), giving a tornado.web.Application; or give --native, --wsgi,
or both. Modules are looked for in the current directory, too."""
_EPILOG: Final = """Example: waterspout serve --native shop.native:routes --wsgi shop:app

Exit status: 0 stopped, 1 can't serve, 2 a wrong option or name, 3 the app raised while it was loaded."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="waterspout")
def main() -> None:
    """A Tornado over your Flask: native async routes and any WSGI app on one port."""


main.add_command(make_serve_command())


def _run(
    context: click.Context, target: str | None, default_target: str | None, options: dict[str, Any]
) -> None:
    """Serve, and turn every foreseen failure into one line and an exit code."""
    debug = options["debug"]
    try:
        settings = _build_settings(context, options)
        logs.configure(access_log=settings.access_log)
        if "" not in sys.path:
            sys.path.insert(0, "")
        if target is not None and (options["native"] or options["wsgi"]):
            raise ConfigurationError("give either TARGET, or --native and/or --wsgi, not both")
        application = _build_application(target or default_target, options, settings)
        with asyncio.Runner(loop_factory=_loop_factory(settings.loop)) as runner:
            runner.run(Server(application, settings).serve())
    except WaterspoutError as error:
        if debug and isinstance(error, TargetRaised):
            traceback.print_exc()
        click.echo(f"waterspout: {error}", err=True)
        context.exit(getattr(error, "exit_code", 1))


def _build_settings(context: click.Context, options: dict[str, Any]) -> ServeSettings:
    given = {
        name: options[name]
        for name in _APPLICATION_OPTIONS
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT
    }
    if "trusted_proxies" in given:
        given["trusted_proxies"] = tuple(filter(None, map(str.strip, given["trusted_proxies"].split(","))))
    if options["debug"]:
        if given.get("wsgi_workers", 1) > 1:
            raise ConfigurationError("--debug works with one WSGI process: its frames live there")
        given["debug"] = True
    return ServeSettings(
        host=options["host"],
        port=options["port"],
        loop=options["loop"],
        server="tornado" if options["server"] == "tornado" else "waterspout",
        graceful_timeout=options["graceful_timeout"],
        max_body_size=options["max_body_size"],
        access_log=options["access_log"],
        debug=options["debug"],
        application=given,
    )


def _build_application(
    target: str | None, options: dict[str, Any], settings: ServeSettings
) -> TornadoApplication:
    native, wsgi = options["native"], options["wsgi"]
    application: TornadoApplication
    if native is None and wsgi is None:
        if target is None:
            raise ConfigurationError("nothing to serve: give TARGET, or --native and/or --wsgi")
        application = resolve(target)
        if not isinstance(application, TornadoApplication):
            raise TargetNotFound(
                f"{target!r} is no tornado.web.Application, but {type(application).__name__}; "
                f"a WSGI app is served with --wsgi {target}"
            )
    else:
        rules = resolve(native) if native is not None else []
        if not isinstance(rules, (list, tuple)):
            raise TargetNotFound(f"{native!r} is no list of Tornado rules, but {type(rules).__name__}")
        application = Application(native=rules, wsgi=wsgi)
    if isinstance(application, Application):
        application.configure(**settings.application)
    if settings.debug:
        application.settings["serve_traceback"] = True
    return application


def _loop_factory(name: str) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What makes the event loop; None: asyncio's own. Raises ConfigurationError."""
    if name == "asyncio":
        return None
    try:
        import uvloop  # optional: there is none for Windows and PyPy
    except ImportError:
        if name == "auto":
            return None
        raise ConfigurationError("--loop uvloop: uvloop is not installed (pip install uvloop)") from None
    return uvloop.new_event_loop
