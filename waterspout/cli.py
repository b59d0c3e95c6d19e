"""The command `waterspout`. Its contract: docs/behaviour.md, and what `--help` says."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Any, Final

import click
from tornado import autoreload
from tornado.ioloop import IOLoop
from tornado.web import Application as TornadoApplication

from waterspout import __version__
from waterspout.application import Application
from waterspout.container_settings import CONTAINER_SETTINGS
from waterspout.exceptions import ConfigurationError, TargetRaised, WaterspoutError
from waterspout.foreign_options import find_unread
from waterspout.http import HeadLimits, HTTPSettings
from waterspout.importer import find_flasks, is_loaded, is_made, look_here, suggest_spec
from waterspout.limits import EXIT_GRACE
from waterspout.logs import loggers
from waterspout.logs.saying import say
from waterspout.options import (
    HEAD_LIMITS,
    OPTIONS,
    TIMES,
    WSGI_OPTIONS,
    ServeCommand,
    check_together,
    find_given,
    find_misspelt,
    find_said,
)
from waterspout.routes.command import make_routes_command
from waterspout.routes.shadows import tell_shadows
from waterspout.routing.containers import doubt_stock, find_containers
from waterspout.serving.deadline import end_by, end_when_told
from waterspout.serving.reloading import take_inherited, wait_and_restart
from waterspout.serving.server import Server, describe
from waterspout.serving.subprocesses import hear_exits
from waterspout.settings import ServeSettings
from waterspout.system.descriptors import describe_limit
from waterspout.system.listeners import find_missent, remove_files, take_activated
from waterspout.system.signals import spare_forked_children
from waterspout.system.surroundings import (
    answer_signals,
    deepen_threads,
    drop_streams,
    hear_children,
    open_streams,
    tell_stacks,
)
from waterspout.targets import build_application, check_named
from waterspout.wsgi.container import Container
from waterspout.wsgi.naming import Link, Names
from waterspout.wsgi.pool.bulkheads import NamedPool

#: Settings of the application that options of the same names give; --wsgi-pool gives two of them instead.
_APPLICATION_OPTIONS: Final = (*CONTAINER_SETTINGS, "native_max_body_size", "native_buffer")


def make_serve_command(default_target: str | None = None) -> click.Command:
    """`waterspout serve`, or the same for a service that knows what it serves: `default_target`."""

    @click.pass_context
    def serve(context: click.Context, /, target: str | None, **options: Any) -> None:
        _run(context, target, default_target, options)

    return ServeCommand(
        "serve",
        callback=serve,
        params=[click.Argument(["target"], required=False), *chain.from_iterable(OPTIONS.values())],
        help=_HELP,
        epilog=_EPILOG,
    )


_HELP: Final = """Serve native Tornado routes and a WSGI app on one port.

TARGET is MODULE:APPLICATION, or MODULE:FACTORY() that returns a tornado.web.Application. Without it, give
--native, --wsgi, or both. Modules are looked for in the current directory, too."""
_EPILOG: Final = """Examples: waterspout serve --wsgi shop.web:app, a Flask app by itself;
waterspout serve --native shop.native:routes --wsgi shop.web:app, with routes in front of it.

Exit status: 0 stopped, 1 can't serve, 2 wrong option or name, 3 the app raised while loading."""


class Commands(click.Group):
    """Suggests what was probably meant when the command is left out."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[Any, Any, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            if ":" not in args[0] and not args[0].endswith(".py"):
                raise
            meant = args[0] if ":" in args[0] else suggest_spec(args[0], "shop.web:app")
            hint = f"{error.message} Did you mean: waterspout serve --wsgi {meant}"
            raise click.UsageError(hint, ctx) from None


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="waterspout")
def main() -> None:
    """A Tornado over your Flask: native async routes and any WSGI app on one port."""


main.add_command(make_serve_command())
main.add_command(make_routes_command())


def _run(
    context: click.Context, target: str | None, default_target: str | None, options: dict[str, Any]
) -> None:
    """Serve, and turn every foreseen failure into one line and an exit code."""
    debug = options["debug"]
    open_streams()
    tell_stacks()
    deepen_threads()
    hear_children()
    spare_forked_children()  # an app may fork as it is loaded
    answer_signals(
        partial(_end_before_serving, "the app was still being loaded"),
        lambda: say("SIGHUP: still loading; send it again when that is done"),
    )
    inherited = take_inherited()
    before = threading.enumerate()
    runner: asyncio.Runner | None = None
    try:
        settings = replace(_build_settings(context, options), inherited=inherited)
        loggers.configure(access_log=settings.access_log)
        for misspelt in find_misspelt(os.environ):
            say(misspelt)
        _tell_unread(context, settings)
        look_here()
        check_named(target, options["native"], options["wsgi"])
        runner = _make_runner(settings.loop)
        autoreload.start = _start_nothing
        hear_exits()
        with loggers.kept():
            application = _build_application(context, target or default_target, settings)
        runner = _follow_code(runner, settings.loop)
        settings = _heed_application(settings, application)
        server = Server(application, settings)
    except WaterspoutError as error:
        _say_failure(error, debug)
        if inherited:
            _wait_for_change(inherited)
        end_by(time.monotonic() + EXIT_GRACE, before, error.exit_code)
        if runner is not None:
            runner.close()
        context.exit(error.exit_code)
    with runner:
        failure = _serve(runner, server)
        if failure is not None:
            _say_failure(failure, debug)
            if inherited and not server.has_served:
                _wait_for_change(inherited)
        status = server.status if failure is None else getattr(failure, "exit_code", 1)
        end_when_told(runner.get_loop())
        # Before the runner waits for tasks, and for its own threads (`asyncio.to_thread`).
        end_by(max(server.ends_by, time.monotonic() + EXIT_GRACE), before, status, runner.get_loop())
    drop_streams()
    context.exit(status)


def _serve(runner: asyncio.Runner, server: Server) -> BaseException | None:
    """Serve until told to stop; return what kept the server from that, or from stopping."""
    # Not by the runner: its context is older than what the app has set as it was loaded (an app context).
    serving = runner.get_loop().create_task(server.serve())
    try:
        while not serving.done():
            _run_loop(runner, serving, server)
        serving.result()
    except BaseException as error:
        # Whatever it is: an application's own `start()` and `stop()` may also raise what would end Python.
        if isinstance(error, OSError) and error.errno == errno.EMFILE:
            return WaterspoutError(f"can't serve: {error}{describe_limit(error)}")
        return error
    return None


def _run_loop(runner: asyncio.Runner, serving: asyncio.Task[None], server: Server) -> None:
    """Run until `serving` has ended, or the application stops the event loop (`IOLoop.stop()`) or calls
    `sys.exit()` on it: programs that run one themselves end so. That stops the server, which still needs the
    loop.
    """
    try:
        runner.run(_wait_for(serving))
    except RuntimeError:
        if runner.get_loop().is_closed():
            raise
        server.stop("the application has stopped the event loop")
    except SystemExit as error:  # in a callback: one in a handler is answered with a 500
        if not server.has_served:
            raise  # by the application's start()
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
        server.stop(f"the application has called sys.exit({error.code!r})", status)


async def _wait_for(task: asyncio.Task[None]) -> None:
    await asyncio.wait((task,))


def _say_failure(error: BaseException, debug: bool) -> None:
    """Print one line for an expected failure; for an unexpected one, its traceback."""
    if not isinstance(error, WaterspoutError) or (debug and isinstance(error, TargetRaised)):
        say("".join(traceback.format_exception(error)).rstrip(), mark="")
    if isinstance(error, WaterspoutError):
        say(str(error))


def _end_before_serving(what: str, name: str) -> None:
    say(f"stopped ({name}): {what}")
    remove_files()


def _wait_for_change(inherited: Collection[int]) -> None:
    """Does not return, unless changes can't be detected."""
    answer_signals(  # no event loop runs that would handle them
        partial(_end_before_serving, "was waiting for a code change"),
        lambda: say("SIGHUP ignored: waiting for a code change"),
    )
    say("waiting for a code change")
    wait_and_restart([socket.socket(fileno=number) for number in inherited])


def _tell_unread(context: click.Context, settings: ServeSettings) -> None:
    """Warn of variables that are not read, except those whose settings the application may make itself."""
    given = find_given(context)
    if "wsgi" not in given:
        given |= {"wsgi_workers", "trusted_proxies"}
    if settings.descriptors:
        given.add("fd")  # systemd's
    if unread := find_unread(os.environ, given, context.params):
        say(unread)


def _build_settings(context: click.Context, options: dict[str, Any]) -> ServeSettings:
    given = find_given(context)
    check_together(context, given)
    return ServeSettings(
        host=options["host"],
        port=options["port"],
        unix=options["unix"],
        unix_mode=options["unix_mode"],
        descriptors=_find_descriptors(options, given),
        certfile=options["certfile"],
        keyfile=options["keyfile"],
        loop=options["loop"],
        server="tornado" if options["server"] == "tornado" else "waterspout",
        graceful_timeout=options["graceful_timeout"],
        max_body_size=options["max_body_size"] if "max_body_size" in given else None,
        http=_build_http_settings(options),
        access_log=options["access_log"],
        reload=options["reload"],
        debug=options["debug"],
        ops=options["ops_bind"],
        application=_build_application_settings(options, given),
    )


def _find_descriptors(options: dict[str, Any], given: Collection[str]) -> tuple[int, ...]:
    """Those of --fd; or systemd's, unless an option says where to listen."""
    missent = find_missent(os.environ)
    activated = take_activated(os.environ)  # in any case: no child may act on the variables
    elsewhere = {"host", "port", "unix"}.intersection(given)
    if activated and elsewhere:
        said = ", ".join(sorted(elsewhere))
        say(f"LISTEN_FDS is ignored: options say where to listen ({said})")
    if elsewhere or "fd" in given:
        return tuple(chain.from_iterable(options["fd"]))
    if missent:
        say(missent)
    return activated


def _build_http_settings(options: dict[str, Any]) -> HTTPSettings:
    head = HeadLimits(**{field: options[name] for name, field in HEAD_LIMITS.items()})
    return HTTPSettings(head=head, **{name: options[name] for name in TIMES})


def _build_application_settings(options: dict[str, Any], given: Collection[str]) -> dict[str, Any]:
    """The settings that were given; the rest is left to the application."""
    settings = {name: options[name] for name in _APPLICATION_OPTIONS if name in given}
    if "trusted_proxies" in settings:
        networks = settings["trusted_proxies"].split(",")
        settings["trusted_proxies"] = tuple(filter(None, map(str.strip, networks)))
    if "wsgi_pool" in given:
        settings.update(_build_pools(options["wsgi_pool"]))
    if options["debug"]:
        if settings.get("wsgi_workers", 1) > 1:
            raise ConfigurationError(
                "--debug works with one WSGI process only: the debugger's frames live there"
            )
        settings["debug"] = True
    return settings


def _build_pools(named: Collection[NamedPool]) -> dict[str, Any]:
    """Pools that replace the application's own. Raises ConfigurationError: two have the same name."""
    names = [pool.name for pool in named]
    for name in names:
        if names.count(name) > 1:
            raise ConfigurationError(f"--wsgi-pool names {name!r} twice: give all its paths in one option")
    return {
        "wsgi_pools": {pool.name: {"workers": pool.workers, "threads": pool.threads} for pool in named},
        "wsgi_pool_rules": [(path, pool.name) for pool in named for path in pool.paths],
    }


def _build_application(
    context: click.Context, target: str | None, settings: ServeSettings
) -> TornadoApplication:
    application = build_application(target, context.params["native"], context.params["wsgi"])
    _check_heeded(context, settings, application)
    if isinstance(application, Application):
        application.configure(**settings.application)
        for doubt in application.doubts:
            say(doubt)
        if application.container is not None and application.native_rules:
            application.container.link.on_flask.append(partial(tell_shadows, application))
    for doubt in doubt_stock(application):
        say(doubt)
    _warn_of_copies(find_containers(application))
    if application.settings.get("autoreload") and not settings.reload:
        say(
            "the application's autoreload (debug=True sets it) does nothing here: --reload loads changed code"
        )
    if settings.debug:
        application.settings["serve_traceback"] = True
    return application


def _check_heeded(context: click.Context, settings: ServeSettings, application: TornadoApplication) -> None:
    """Say which options are ignored here; a variable may be meant for other services. Raises
    ConfigurationError: one of them says whom to trust, where no mistake is acceptable.
    """
    containers, named = find_containers(application), describe(application)
    names: tuple[str, ...]
    if isinstance(application, Application):
        if containers.keys() - {application.container}:
            names = (*WSGI_OPTIONS, "max_body_size")
            takes = "" if application.container is None else " (only wsgi= takes it)"
            why = f" by the Container of a rule{takes}: set it where the Container is made"
        else:
            names = () if containers else WSGI_OPTIONS
            why = ", because there is no WSGI app"
    else:
        said, by_variable = find_said(context, ("trusted_proxies", "proxy_headers", "root_path"))
        if unheard := said + by_variable:
            raise ConfigurationError(
                f"{', '.join(unheard)}: only a waterspout.Application supports this, not {named} "
                "(docs/recipe.md)"
            )
        names = (*WSGI_OPTIONS, "native_max_body_size", "native_buffer")
        why = f", because only a waterspout.Application supports this, not {named}"
        if containers:
            why += ": those of the WSGI side are set where the Container is made"
    said, by_variable = find_said(context, names)
    ignored = said + by_variable if containers else said
    if ignored:
        say(f"{', '.join(ignored)}: ignored{why}")


def _heed_application(settings: ServeSettings, application: TornadoApplication) -> ServeSettings:
    """The settings with the application's graceful timeout, unless an option gives one."""
    if not isinstance(application, Application) or "graceful_timeout" in settings.application:
        return settings
    return replace(settings, graceful_timeout=application.graceful_timeout)


def _warn_of_copies(containers: Iterable[Container]) -> None:
    """Warn of an app that native code imports: it lives in the server, too, and serves no requests there."""
    links: dict[str, Link] = {}  # each app once, however many containers run it
    for container in containers:
        target = container.pool.target
        if container.pool.settings.workers and isinstance(target, str):
            links.setdefault(target, container.link)
    for target, link in links.items():
        _warn_of_copy(target, link)


def _warn_of_copy(target: str, link: Link) -> None:
    if is_loaded(target):
        say(
            f"{target} is also loaded in the server, because native code imports it: its views don't see "
            "the variables of this copy, threads that it starts run twice, and SIGHUP does not reload it; "
            "keep the app in a module of its own (docs/recipe.md)"
        )
    elif is_made(target):
        _say_made(f"{target} has also been called")
    elif apps := find_flasks():
        # Which one is it, if any? The module with `app = create_app()` need not be the factory's.
        link.on_flask.append(partial(_warn_of_twin, target, apps))


def _warn_of_twin(target: str, apps: list[tuple[str, frozenset[str]]], loaded: Names) -> None:
    """Warn if what a WSGI process has loaded lives in the server, too, as far as can be told: an app of the
    same module with the same endpoints.
    """
    endpoints = {rule["endpoint"] for rule in loaded.rules}
    if any(name == loaded.app and endpoints == known for name, known in apps):
        _say_made(f"the app of {target}, {loaded.app}, has also been made")


def _say_made(what: str) -> None:
    say(
        f"{what} in the server, by what native code imports: threads that it starts run twice, and "
        "SIGHUP does not reload this copy; leave that to the WSGI processes"
    )


def _start_nothing(check_time: int = 500) -> None:
    """In place of `tornado.autoreload.start`, which Applications with `debug=True` call: at each change it
    would replace this process, and cut all that it serves.
    """


def _make_runner(name: str) -> asyncio.Runner:
    """Make a runner whose event loop is already current while code is loaded: a `PeriodicCallback` that a
    module starts, or what a constructor gives `IOLoop.current()` to run, runs when the server does.

    Raises ConfigurationError: there is no loop of that name. WaterspoutError: the system does not allow one.
    """
    runner = asyncio.Runner(loop_factory=_loop_factory(name))
    try:
        loop = runner.get_loop()
        begun = loop.create_future()
        begun.set_result(None)
        loop.run_until_complete(begun)  # uvloop opens some of what it needs on its first run
    except OSError as error:
        raise WaterspoutError(f"can't create an event loop: {error}{describe_limit(error)}") from error
    asyncio.set_event_loop(loop)
    # A child that the code forks would share the descriptors that the loop waits on with us.
    os.register_at_fork(after_in_child=partial(asyncio.set_event_loop, None))
    return runner


def _follow_code(runner: asyncio.Runner, name: str) -> asyncio.Runner:
    """The runner for code that has been loaded: with the event loop that this has made Tornado's current one
    (after an `asyncio.run`, for example), which a program's `IOLoop.current().start()` would run; or with a
    new one, if it has closed ours.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # some versions of Python say that there is none
        current = IOLoop.current(instance=False)
    loop = getattr(current, "asyncio_loop", None)
    if loop is None or loop is runner.get_loop() or loop.is_closed() or loop.is_running():
        return _make_runner(name) if runner.get_loop().is_closed() else runner
    if type(loop) is not type(runner.get_loop()):
        say(
            "native code has made another event loop the current one as it was loaded (asyncio.run() does): "
            f"the server runs on that, which is {type(loop).__module__.partition('.')[0]}'s"
        )
    runner.close()
    asyncio.set_event_loop(loop)
    return asyncio.Runner(loop_factory=lambda: loop)


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


def serving_address() -> str:
    """Return where the current command will serve, as far as its options tell: `http://127.0.0.1:8888/board`,
    or only `/board`, or "".
    """
    context = click.get_current_context(silent=True)
    options = context.params if context else {}
    host, port, root_path = options.get("host"), options.get("port"), options.get("root_path") or ""
    if not host or not port or options.get("unix") or options.get("fd"):
        return root_path
    scheme = "https" if options.get("certfile") else "http"
    name = "localhost" if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host
    return f"{scheme}://{name}:{port}{root_path}"
