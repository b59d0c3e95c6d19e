"""Options and variables of gunicorn, uvicorn, waitress, uWSGI and `flask run`, and what to use here instead.
Pure.

docs/gunicorn.md says more.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

_PLACE: Final = "--host and --port"
_VARIABLES: Final = "environment variables: WATERSPOUT_WSGI_THREADS=16"
_KINDS: Final = "processes with threads: --wsgi-workers and --wsgi-threads"
_LOG: Final = "the log goes to stderr; the app configures what is logged there"
_LEAVE: Final = "leave it out; nothing here needs it"

#: Theirs -> ours.
_HERE: Final = {
    "-b": _PLACE,
    "--bind": _PLACE,
    "--listen": _PLACE,
    "--http": _PLACE,
    "--http-socket": _PLACE,
    "-p": "--port",
    "--uds": "--unix",
    "--unix-socket": "--unix",
    "-w": "--wsgi-workers",
    "--workers": "--wsgi-workers",
    "--processes": "--wsgi-workers",
    "--threads": "--wsgi-threads",
    "--backlog": "--wsgi-queue",
    "--limit-concurrency": "--wsgi-queue",
    "-t": "--wsgi-timeout",
    "--timeout": "--wsgi-timeout",
    "--harakiri": "--wsgi-timeout",
    "--max-requests": "--wsgi-max-requests",
    "--max-requests-jitter": "--wsgi-max-requests-jitter",
    "--limit-max-requests": "--wsgi-max-requests",
    "--keep-alive": "--keep-alive-timeout",
    "--timeout-keep-alive": "--keep-alive-timeout",
    "--timeout-graceful-shutdown": "--graceful-timeout",
    "--limit-request-field_size": "--limit-request-field-size",
    "--forwarded-allow-ips": "--trusted-proxies, and --proxy-headers for the headers that your proxy sets",
    "--trusted-proxy": "--trusted-proxies",
    "--trusted-proxy-headers": "--proxy-headers",
    "--access-logfile": "--access-log (the default); it goes to stderr",
    "--ssl-certfile": "--certfile",
    "--cert": "--certfile",
    "--ssl-keyfile": "--keyfile",
    "--key": "--keyfile",
    "-A": "--wsgi",
    "--app": "--wsgi",
    "--module": "--wsgi",
    "--wsgi-file": "--wsgi, with the name of the module and the app: --wsgi shop:application",
    "--callable": "--wsgi, with the name of the module and the app: --wsgi shop:application",
    "--mount": "--root-path",
    "--factory": "a pair of parentheses: --wsgi 'shop:create_app()'",
    "--call": "a pair of parentheses: --wsgi 'shop:create_app()'",
    "--debugger": "--debug",
    "-c": _VARIABLES,
    "--config": _VARIABLES,
    "-k": _KINDS,
    "--worker-class": _KINDS,
    "--worker-connections": _KINDS,
    "--with-threads": _KINDS,
}
#: Theirs that have no counterpart here -> what to do instead.
_NOT_HERE: Final = {
    "--preload": "each WSGI process loads the app by itself",
    "--log-level": _LOG,
    "--log-config": _LOG,
    "--log-config-json": _LOG,
    "--logger-class": _LOG,
    "--log-syslog": _LOG,
    "--log-file": _LOG,
    "--error-logfile": _LOG,
    "--access-logformat": "the format is fixed",
    "--ini": "give options, or environment variables",
    "--socket": "the server speaks HTTP: use proxy_pass, not uwsgi_pass",
    "--master": _LEAVE,
    "--enable-threads": _LEAVE,
    "-D": "a service manager does that",
    "--daemon": "a service manager does that",
    "--pid": "a service manager knows the PID",
    "--chdir": "use cd first",
    "--app-dir": "use cd first",
    "--pythonpath": "set PYTHONPATH",
    "--worker-tmp-dir": _LEAVE,
    "--no-sendfile": _LEAVE,
    "--reload-engine": _LEAVE,
    "--capture-output": "leave it out; what the app prints goes to stdout and stderr",
    "-R": "set PYTHONUNBUFFERED=1",
    "--enable-stdio-inheritance": "set PYTHONUNBUFFERED=1",
    "-n": "WSGI processes are called waterspout-wsgi",
    "--name": "WSGI processes are called waterspout-wsgi",
    "--statsd-host": "--ops-bind serves figures",
    "--reuse-port": "one server has the port, and --wsgi-workers processes",
    "--check-config": "waterspout routes loads the app, and ends",
    "--env-file": "use systemd's EnvironmentFile=, or load_dotenv() in the app",
    "-e": "use the shell, or systemd's Environment=",
    "--env": "use the shell, or systemd's Environment=",
    "-u": "systemd's User= does that",
    "--user": "systemd's User= does that",
    "-g": "systemd's Group= does that",
    "--group": "systemd's Group= does that",
    "-m": "systemd's UMask= does that",
    "--umask": "systemd's UMask= does that",
    "--paste": "write a module that makes the app from the ini file",
    "--proxy-protocol": "the PROXY protocol is not supported",
    "--ca-certs": "client certificates are a proxy's business",
    "--cert-reqs": "client certificates are a proxy's business",
    "--ciphers": "a proxy's business",
}

#: Variables that platforms or their users set because gunicorn reads them -> our option, and others that say
#: the same.
_UNREAD: Final = {
    "PORT": ("port", "unix", "fd"),
    "WEB_CONCURRENCY": ("wsgi_workers",),
    "FORWARDED_ALLOW_IPS": ("trusted_proxies",),
    "SCRIPT_NAME": ("root_path",),
}


def find_unread(environ: Mapping[str, str], given: Collection[str], values: Mapping[str, object]) -> str:
    """A warning about other servers' variables that users may rely on, unless an option says the same; "":
    none. `given`: the options that were given; `values`: those of all options, by name.

    It does not mention variables whose names show that only `flask run` reads them; nor HOST, which is a
    shell's; nor what Kubernetes sets for a Service.
    """
    unread = [
        f"{name}={environ[name]} (ours is --{ours[0].replace('_', '-')})"
        for name, ours in _UNREAD.items()
        if environ.get(name)
        and "://" not in environ[name]
        and environ[name] != str(values.get(ours[0]))
        and not set(ours).intersection(given)
    ]
    if environ.get("GUNICORN_CMD_ARGS"):
        unread.append("GUNICORN_CMD_ARGS")
    return f"set, but not read here: {', '.join(unread)}; see docs/gunicorn.md" if unread else ""


def find_ours(name: str) -> str:
    """A hint about an option of another server; "": no server that we know has it."""
    if name in _HERE:
        return f"use {_HERE[name]} (docs/gunicorn.md)"
    if name in _NOT_HERE:
        return f"there is none here: {_NOT_HERE[name]} (docs/gunicorn.md)"
    return ""
