"""Who answers. A new contestant is a new row; what it serves is in apps/.

A command is what comes after `.venv-bench/bin/python`; {port} and {cores} are filled in when it starts.
Every server has one process and eight threads for views, unless its name says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

FLASK_APP = "benchmarks.apps.flask_app:app"
STARLETTE_APP = "benchmarks.apps.starlette_app:app"
HYBRID_APP = "benchmarks.apps.hybrid_bridge:app"
BRIDGED_APP = "benchmarks.apps.bridge:app"


@dataclass(frozen=True)
class Contestant:
    """`needs` is MODULE:NAME, `needs_nginx` says what it says; without it the contestant is left out, and the
    report says so. `mebibytes`: the most that it is sent, or asked for, at once.
    """

    name: str
    command: tuple[str, ...]
    needs: str = ""
    needs_nginx: bool = False
    mebibytes: int = 1024


def waterspout(*more: str, logged: bool = False) -> tuple[str, ...]:
    access = "--access-log" if logged else "--no-access-log"
    return ("-m", "waterspout", "serve", *more, access, "--port", "{port}")


def tornado(module: str, *more: str) -> tuple[str, ...]:
    """Tornado's own server, on asyncio's own loop, as its documentation starts it."""
    return ("-m", "benchmarks.apps.tornado_server", f"benchmarks.apps.{module}", "{port}", *more)


def uvicorn(app: str, *more: str, logged: bool = False) -> tuple[str, ...]:
    access = "--access-log" if logged else "--no-access-log"
    fast = ("--loop", "uvloop", "--http", "httptools")
    return ("-m", "uvicorn", app, *fast, *more, access, "--port", "{port}")


def granian(interface: str, app: str, *more: str, logged: bool = False) -> tuple[str, ...]:
    access = "--access-log" if logged else "--no-access-log"
    return ("-m", "granian", "--interface", interface, *more, access, "--port", "{port}", app)


def gunicorn(*more: str) -> tuple[str, ...]:
    threads = ("--worker-class", "gthread", "--threads", "8")
    return ("-m", "gunicorn", *threads, *more, "--bind", "127.0.0.1:{port}", FLASK_APP)


def native(logged: bool) -> tuple[Contestant, ...]:
    """The JSON route; `logged`: each server's own access log is on."""
    plain, lean = "benchmarks.apps.native:routes", "benchmarks.apps.lean:routes"
    needs = "waterspout.native:RequestHandler"
    return (
        Contestant("Tornado", tornado("native", *(("log",) if logged else ()))),
        Contestant(
            "Waterspout on Tornado's server",
            waterspout("--native", plain, "--server", "tornado", logged=logged),
        ),
        Contestant("Waterspout, Tornado's handler", waterspout("--native", plain, logged=logged)),
        Contestant("Waterspout, its own handler", waterspout("--native", lean, logged=logged), needs),
        Contestant("Starlette on uvicorn", uvicorn(STARLETTE_APP, logged=logged)),
        Contestant("Starlette on granian", granian("asgi", STARLETTE_APP, "--loop", "uvloop", logged=logged)),
    )


RECIPE = Contestant("plain recipe", tornado("recipe"))
OURS = Contestant("Waterspout", waterspout("--wsgi", FLASK_APP))
OUR_THREADS = Contestant(
    "Waterspout, threads of the same process", waterspout("--wsgi", FLASK_APP, "--wsgi-workers", "0")
)
WAITRESS = Contestant("waitress", ("-m", "benchmarks.apps.waitress_server", "{port}"))

FLASK = (
    RECIPE,
    OURS,
    OUR_THREADS,
    Contestant("gunicorn gthread", gunicorn("--workers", "1")),
    Contestant("granian", granian("wsgi", FLASK_APP, "--workers", "1", "--blocking-threads", "8")),
    WAITRESS,
    Contestant("Starlette + a2wsgi on uvicorn", uvicorn(BRIDGED_APP)),
)

#: Those that can have a process for each core have it; Waterspout is there with its default, too.
FLASK_ON_ALL_CORES = (
    RECIPE,
    OURS,
    Contestant(
        "Waterspout, a WSGI process for each core",
        waterspout("--wsgi", FLASK_APP, "--wsgi-workers", "{cores}"),
    ),
    OUR_THREADS,
    Contestant("gunicorn gthread, a worker for each core", gunicorn("--workers", "{cores}")),
    Contestant(
        "granian, a worker for each core",
        granian("wsgi", FLASK_APP, "--workers", "{cores}", "--blocking-threads", "8"),
    ),
    WAITRESS,
    Contestant(
        "Starlette + a2wsgi on uvicorn, a worker for each core",
        uvicorn(BRIDGED_APP, "--workers", "{cores}"),
    ),
)

HYBRID = ("--native", "benchmarks.apps.native:routes", "--wsgi", FLASK_APP)

#: Native routes and Flask views at one port. Two processes for views, where they are processes.
ISOLATION = (
    Contestant("plain recipe", tornado("hybrid")),
    Contestant("Waterspout, two WSGI processes", waterspout(*HYBRID, "--wsgi-workers", "2")),
    Contestant("Waterspout, threads of the same process", waterspout(*HYBRID, "--wsgi-workers", "0")),
    Contestant("Starlette + a2wsgi on uvicorn", uvicorn(HYBRID_APP)),
    Contestant(
        "nginx, Tornado and gunicorn gthread",
        ("-m", "benchmarks.apps.nginx_server", "{port}", "2"),
        needs_nginx=True,
    ),
)

#: The recipe takes twice the size in memory, and Tornado refuses more than 100 MiB.
TRANSFER = (
    Contestant("plain recipe, 64 MiB", RECIPE.command, mebibytes=64),
    OURS,
    OUR_THREADS,
    *FLASK[3:6],
)


def routed(rules: str, *more: str) -> tuple[str, ...]:
    return waterspout("--native", f"benchmarks.apps.routes:{rules}", *more)


ROUTES = (
    Contestant("10 regular expressions", routed("expressions")),
    Contestant("10 rules written Flask's way", routed("ten")),
    Contestant("1000 rules written Flask's way", routed("thousand")),
)

#: The view's path begins as those of the rules do.
FLASK_ROUTES = (
    Contestant("no native rule", waterspout("--wsgi", FLASK_APP)),
    Contestant("10 native rules", routed("ten", "--wsgi", FLASK_APP)),
    Contestant("1000 native rules", routed("thousand", "--wsgi", FLASK_APP)),
)

SOCKETS = (
    Contestant("Tornado", tornado("native")),
    Contestant("Waterspout", waterspout("--native", "benchmarks.apps.native:routes")),
    Contestant(
        "Waterspout on Tornado's server",
        waterspout("--native", "benchmarks.apps.native:routes", "--server", "tornado"),
    ),
    Contestant("aiohttp", ("-m", "benchmarks.apps.aiohttp_server", "{port}")),
    Contestant("Starlette on uvicorn, websockets", uvicorn(STARLETTE_APP, "--ws", "websockets-sansio")),
    Contestant("Starlette on uvicorn, wsproto", uvicorn(STARLETTE_APP, "--ws", "wsproto")),
    Contestant("Starlette on granian", granian("asgi", STARLETTE_APP, "--loop", "uvloop")),
)
