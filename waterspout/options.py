"""The options of `waterspout serve`: a table of them by heading, and what can't be combined. Leaf."""

from __future__ import annotations

import difflib
import math
from collections.abc import Collection
from typing import Any, Final

import click
from click.core import ParameterSource

from waterspout import limits
from waterspout.exceptions import ConfigurationError
from waterspout.foreign_options import find_ours
from waterspout.message.proxies import FAMILIES, check_headers, check_root_path
from waterspout.ops.address import parse_ops_address
from waterspout.option_types import (
    DEFAULT_PORT,
    Descriptors,
    Mode,
    Nice,
    Number,
    Parsed,
    Port,
    Seconds,
    Size,
    Time,
    format_size,
    parse_place,
)
from waterspout.wsgi.pool.bulkheads import parse_pool

#: The prefix of variables that set options.
_PREFIX: Final = "WATERSPOUT_"


class _Option(click.Option):
    """An option; errors about a wrong value name it as it was given."""

    def get_error_hint(self, ctx: click.Context | None) -> str:
        source = None if ctx is None or self.name is None else ctx.get_parameter_source(self.name)
        if source is ParameterSource.ENVIRONMENT:
            return f"'{self.envvar}'"
        if source is ParameterSource.COMMANDLINE:
            return click.Parameter.get_error_hint(self, ctx)
        return super().get_error_hint(ctx)


def _option(*names: str, **attributes: Any) -> click.Option:
    """An option with its WATERSPOUT_... variable and its default in the help."""
    name = names[0].partition("/")[0].lstrip("-").replace("-", "_")
    variable = f"{_PREFIX}{name.upper()}"
    return _Option(names, envvar=variable, show_envvar=True, show_default=True, **attributes)


def _size(name: str, default: int, text: str, least: int = 0, most: float = math.inf) -> click.Option:
    return _option(name, type=Size(least, most), default=format_size(default), help=text)


def _seconds(name: str, default: float, text: str) -> click.Option:
    return _option(name, type=Seconds(), default=default, metavar="SECONDS", help=text)


def _count(name: str, least: int, most: int | None, default: int, text: str) -> click.Option:
    return _option(name, type=Number(least, most), default=default, metavar="N", help=text)


#: Heading -> its options, in the order of the help.
OPTIONS: Final[dict[str, tuple[click.Option, ...]]] = {
    "What is served": (
        _option("--native", metavar="MODULE:ROUTES", help="A list of Tornado rules."),
        _option("--wsgi", metavar="MODULE:CALLABLE", help="A WSGI app, or with () a factory that makes one."),
    ),
    "Where it listens": (
        _option(
            "--host",
            default="127.0.0.1",
            help="Address or name to listen on; ::, all addresses; 0.0.0.0, all IPv4 addresses.",
        ),
        _option("--port", type=Port(0, 65535), default=DEFAULT_PORT, metavar="N", help="0: any free port."),
        _option("--unix", metavar="PATH", help="Listen on a UNIX socket instead."),
        _option("--unix-mode", type=Mode(), default="660", help="File mode of the socket: who may connect."),
        _option(
            "--fd",
            type=Descriptors(),
            multiple=True,
            metavar="N,...",
            help="Serve inherited listening sockets instead. Sockets from systemd need no option.",
        ),
        _option("--certfile", metavar="PATH", help="Serve TLS with this certificate (PEM, with its chain)."),
        _option("--keyfile", metavar="PATH", help="Its private key, if not in the same file."),
    ),
    "The WSGI app": (
        _count(
            "--wsgi-workers",
            0,
            512,
            limits.WSGI_WORKERS,
            "WSGI processes; 0: threads in the server's own process.",
        ),
        _count("--wsgi-threads", 1, 1024, limits.WSGI_THREADS, "Requests that each process runs at a time."),
        _count(
            "--wsgi-queue",
            0,
            None,
            limits.WSGI_QUEUE,
            "Requests that may wait for a free thread; any further one gets 503.",
        ),
        _seconds(
            "--wsgi-queue-timeout",
            limits.WSGI_QUEUE_TIMEOUT,
            "How long a request may wait for a thread; after that it gets 503.",
        ),
        _seconds(
            "--wsgi-timeout",
            limits.WSGI_TIMEOUT,
            "How long a view may send nothing; after that its client gets 504.",
        ),
        _count(
            "--wsgi-max-requests",
            0,
            None,
            0,
            "Replace a WSGI process after this many requests; 0: never.",
        ),
        _count("--wsgi-max-requests-jitter", 0, None, 0, "... and up to this many more, at random."),
        _size("--wsgi-max-rss", 0, "Replace a WSGI process that uses more memory; 0: never."),
        _option(
            "--wsgi-nice",
            type=Nice(),
            default="auto",
            metavar="auto|idle|N",
            help="How much lower the priority of WSGI processes is: 0 to 19; idle: only CPU time that nobody "
            "else wants; auto: 10, or 5 with one core.",
        ),
        _option(
            "--wsgi-pool",
            type=Parsed("pool", parse_pool),
            multiple=True,
            metavar="NAME:PATHS:WxT",
            help="W processes of T threads for these paths only: reports:/reports/*,/export:1x4.",
        ),
        _size(
            "--wsgi-spool",
            limits.WSGI_SPOOL,
            "Disk space, in TMPDIR, for what slow clients have not read or not finished sending; 0: none.",
        ),
        _size("--wsgi-spool-reply", limits.WSGI_SPOOL_REPLY, "How much of one reply may be spooled."),
    ),
    "Behind a proxy": (
        _option(
            "--trusted-proxies",
            metavar="CIDR,...",
            help="Networks of proxies that may say who their client is; unix: peers on a UNIX socket.",
        ),
        _option(
            "--proxy-headers",
            type=Parsed("fields", check_headers),
            default=FAMILIES[0],
            metavar="FIELDS",
            help="Headers in which they say it. x-forwarded: X-Forwarded-For, -Proto, -Host, -Port, -Prefix. "
            "Proxies that set fewer pass on the rest as the client wrote it: then list those they set "
            "(x-forwarded-for,x-forwarded-proto). Or: forwarded. none: trust nothing, pass everything on.",
        ),
        _option(
            "--root-path",
            type=Parsed("path", check_root_path),
            metavar="PATH",
            help="Path under which everything is mounted: /board.",
        ),
    ),
    "What a client may send": (
        _size("--max-body-size", limits.MAX_BODY_SIZE, "Largest body for WSGI and streaming handlers."),
        _size(
            "--native-max-body-size",
            limits.NATIVE_MAX_BODY_SIZE,
            "Largest body for a native handler that receives it whole.",
        ),
        _size(
            "--native-buffer",
            limits.NATIVE_BUFFER,
            "Memory for such bodies, and WebSocket messages that come in pieces, of all clients together.",
        ),
        _size("--limit-request-line", limits.REQUEST_LINE, "Longest request line.", 1),
        _count("--limit-request-fields", 1, None, limits.HEADER_FIELDS, "Maximum number of header fields."),
        _size("--limit-request-field-size", limits.FIELD_SIZE, "Largest header field.", 1),
        _size(
            "--limit-request-head",
            limits.HEAD_SIZE,
            f"Largest head: request line and all fields. At most {format_size(limits.HEAD_SIZE_MOST)}.",
            1,
            limits.HEAD_SIZE_MOST,
        ),
    ),
    "How long a client may take": (
        _seconds("--head-timeout", limits.HEAD_TIMEOUT, "To send a request's head."),
        _seconds("--keep-alive-timeout", limits.KEEP_ALIVE_TIMEOUT, "Until its next request."),
        _seconds("--body-timeout", limits.BODY_TIMEOUT, "Pause in a body that the server wants to read."),
        _option(
            "--body-rate",
            type=Number(0),
            default=limits.BODY_RATE,
            metavar="N",
            help="Bytes a second at which a body must arrive after that time; 0: any.",
        ),
        _seconds("--write-timeout", limits.WRITE_TIMEOUT, "Without taking any of its reply."),
        _option(
            "--write-rate",
            type=Number(0),
            default=limits.WRITE_RATE,
            metavar="N",
            help="Bytes a second at which a client must take its reply, in the long run; 0: any.",
        ),
    ),
    "How it runs": (
        _option(
            "--server",
            type=click.Choice(["waterspout", "httptools", "tornado"]),
            default="waterspout",
            help="HTTP server: our own (httptools is another name for it), or Tornado's.",
        ),
        _option(
            "--loop",
            type=click.Choice(["auto", "asyncio", "uvloop"]),
            default="auto",
            help="auto: uvloop if installed.",
        ),
        _option(
            "--graceful-timeout",
            type=Time(0),
            default=limits.GRACEFUL_TIMEOUT,
            metavar="SECONDS",
            help="How long running requests may take after SIGTERM, Ctrl-C or SIGHUP.",
        ),
        _option(
            "--ops-bind",
            type=Parsed("address", parse_ops_address),
            metavar="HOST:PORT",
            help="Serve /-/stats and /-/health at this address (or at unix:PATH), and only there.",
        ),
        _option("--access-log/--no-access-log", default=True, help="Log one line for each request."),
        _option(
            "--reload",
            is_flag=True,
            help="For development: reload when code changes (needs watchfiles).",
        ),
        _option(
            "--debug",
            is_flag=True,
            help="Tracebacks and debugger in the browser; on loopback only.",
        ),
    ),
}

#: Options that are of no use without a WSGI app.
WSGI_OPTIONS: Final = tuple(option.name for option in OPTIONS["The WSGI app"] if option.name is not None)
#: The ways to say where to listen, of which one may be used.
_PLACES: Final = (("host", "port"), ("unix",), ("fd",))
#: If empty, they would open more than was meant: all interfaces, plain HTTP.
_NEVER_EMPTY: Final = ("host", "unix", "certfile", "keyfile")
#: An option -> the one without which it is of no use.
_NEEDS: Final = {"unix_mode": "unix", "keyfile": "certfile"}
#: An option -> its field of HeadLimits.
HEAD_LIMITS: Final = {
    "limit_request_line": "request_line",
    "limit_request_fields": "fields",
    "limit_request_field_size": "field",
    "limit_request_head": "head",
}
#: Options that are fields of HTTPSettings.
TIMES: Final = (
    "head_timeout",
    "keep_alive_timeout",
    "body_timeout",
    "body_rate",
    "write_timeout",
    "write_rate",
)
#: Those of both that Tornado's server has, too, with the same meaning.
_TORNADO_KNOWS: Final = {"limit_request_head", "keep_alive_timeout"}
_OURS_ALONE: Final = tuple(name for name in (*HEAD_LIMITS, *TIMES) if name not in _TORNADO_KNOWS)


class ServeCommand(click.Command):
    """Its help has a heading for each group of options; for options of other servers, errors name ours."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            ours = find_ours(error.option_name)
            if not ours:
                raise
            said = f"no such option: {error.option_name}; {ours}"
            raise click.NoSuchOption(error.option_name, said, ctx=ctx) from None

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for heading, options in (*OPTIONS.items(), ("This help", [self.get_help_option(ctx)])):
            records = [option.get_help_record(ctx) for option in options if option is not None]
            with formatter.section(heading):
                formatter.write_dl([record for record in records if record is not None])


def find_given(context: click.Context) -> set[str]:
    """The options that were given, on the command line or as a variable."""
    return {
        name
        for name in context.params
        if context.get_parameter_source(name) not in (None, ParameterSource.DEFAULT)
    }


def find_misspelt(environ: Collection[str]) -> list[str]:
    """Warnings about variables whose names are nearly those of ours: they are not read."""
    options = [option for group in OPTIONS.values() for option in group]
    ours = {option.envvar for option in options if isinstance(option.envvar, str)}
    switches = {option.envvar for option in options if option.is_flag}
    said = []
    for name in sorted(set(environ) - ours):
        if not name.startswith(_PREFIX):
            continue
        whole = f"{_PREFIX}WSGI_{name.removeprefix(_PREFIX)}"
        switch = f"{_PREFIX}{name.removeprefix(f'{_PREFIX}NO_')}"
        if switch in switches:
            near = [f"{switch}=0"]
        else:
            near = [whole] if whole in ours else difflib.get_close_matches(name, ours, n=1, cutoff=0.9)
        said += [f"{name} is not an option and is ignored: did you mean {meant}?" for meant in near]
    return said


def find_said(context: click.Context, names: Collection[str]) -> tuple[list[str], list[str]]:
    """Those of `names` given on the command line, and those given by variables, each as it was given."""
    sources = (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT)
    said, by_variable = (
        [_spell(context, name) for name in names if context.get_parameter_source(name) is source]
        for source in sources
    )
    return said, by_variable


def check_together(context: click.Context, given: Collection[str]) -> None:
    """Raises ConfigurationError: options that were given contradict each other, or say nothing."""
    _check_empty(context)
    _check_host(context)
    said = [name for place in _PLACES if (name := next((name for name in place if name in given), None))]
    if len(said) > 1:
        first, second = (_spell(context, name) for name in said[:2])
        raise ConfigurationError(f"{first} and {second} both say where to listen: give only one of them")
    for name, other in _NEEDS.items():
        if name in given and other not in given:
            raise ConfigurationError(
                f"{_spell(context, name)} is of no use without --{other}: give both, or neither"
            )
    if context.params["server"] == "tornado":
        _check_tornado(context, given)
    _check_head(context, given)


def _check_empty(context: click.Context) -> None:
    for name in _NEVER_EMPTY:
        if context.params[name] == "":
            raise ConfigurationError(
                f"{_spell(context, name)} is empty: give it a value, or leave it out (is a variable not set?)"
            )


def _check_host(context: click.Context) -> None:
    host = context.params["host"]
    place = parse_place(host)
    if place is not None:
        meant = f"--host {place[0] or '0.0.0.0'} --port {place[1]}"
        raise ConfigurationError(f"{_spell(context, 'host')} {host} includes a port: write {meant}")
    if host.startswith("[") and host.endswith("]"):
        raise ConfigurationError(f"{_spell(context, 'host')} {host}: write it without brackets: {host[1:-1]}")


def _check_tornado(context: click.Context, given: Collection[str]) -> None:
    for name in _OURS_ALONE:
        if name in given:
            raise ConfigurationError(
                f"{_spell(context, name)} does not work with {_spell(context, 'server')} tornado: "
                "leave out one of them"
            )


def _check_head(context: click.Context, given: Collection[str]) -> None:
    """A limit above the whole head's would never be reached."""
    head = context.params["limit_request_head"]
    for name in ("limit_request_line", "limit_request_field_size"):
        if name in given and context.params[name] > head:
            raise ConfigurationError(
                f"{_spell(context, name)} is above --limit-request-head, which is {format_size(head)}: "
                "raise that, too"
            )


def _spell(context: click.Context, name: str) -> str:
    """An option as it was given."""
    if context.get_parameter_source(name) is ParameterSource.ENVIRONMENT:
        return f"{_PREFIX}{name.upper()}"
    return f"--{name.replace('_', '-')}"
