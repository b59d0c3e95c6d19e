"""The settings of an `Application` that belong to its container."""

from __future__ import annotations

import difflib
from typing import Any, Final

from waterspout.exceptions import ConfigurationError, TargetNotFound
from waterspout.message.proxies import PROXY_SETTINGS
from waterspout.wsgi.container import Container

#: The application's name for a setting -> the container's.
CONTAINER_SETTINGS: Final = {
    "wsgi_workers": "workers",
    "wsgi_threads": "threads",
    "wsgi_queue": "queue",
    "wsgi_spool": "spool",
    "wsgi_spool_reply": "spool_reply",
    "wsgi_pools": "pools",
    "wsgi_pool_rules": "pool_rules",
    "wsgi_queue_timeout": "queue_timeout",
    "wsgi_timeout": "timeout",
    "wsgi_max_requests": "max_requests",
    "wsgi_max_requests_jitter": "max_requests_jitter",
    "wsgi_max_rss": "max_rss",
    "wsgi_nice": "nice",
    "max_body_size": "max_body_size",
    "graceful_timeout": "graceful_timeout",
    **{name: name for name in PROXY_SETTINGS},
}
_OTHERS: Final = ("native_max_body_size", "native_buffer", "login_loader", "url_converters")
#: Options of `waterspout serve` that are not settings: an application knows nothing of the server.
OPTIONS_ALONE: Final = frozenset(
    {
        *("host", "port", "unix", "unix_mode", "fd", "certfile", "keyfile"),
        *("limit_request_line", "limit_request_fields", "limit_request_field_size", "limit_request_head"),
        *("head_timeout", "keep_alive_timeout", "body_timeout", "body_rate", "write_timeout", "write_rate"),
        *("server", "loop", "ops_bind", "access_log", "reload"),
    }
)
#: Arguments of Tornado's `HTTPServer`, which are not settings, either -> what replaces them here.
_SERVER_ARGUMENTS: Final = {
    "xheaders": "use trusted_proxies=",
    "trusted_downstream": "use trusted_proxies=",
    "protocol": "use trusted_proxies=, and a proxy that sends X-Forwarded-Proto",
    "ssl_options": "use --certfile and --keyfile",
    "max_buffer_size": "use max_body_size= and native_max_body_size=",
    "max_header_size": "use --limit-request-head",
    "idle_connection_timeout": "use --keep-alive-timeout",
    "decompress_request": "there is no such option: a handler decompresses its own body",
    "no_keep_alive": "there is no such option",
    "chunk_size": "there is no such option",
}


def make_container(wsgi: Any, settings: dict[str, Any]) -> Container | None:
    """The container of `wsgi`, which may itself be one: then it takes those settings that both sides have.

    Raises ConfigurationError, TargetNotFound: a string that names no app.
    """
    check_names(settings)
    options = {ours: settings[name] for name, ours in CONTAINER_SETTINGS.items() if name in settings}
    if isinstance(wsgi, Container) or wsgi is None:
        if any(name.startswith("wsgi_") for name in settings):
            raise ConfigurationError("wsgi_... settings need wsgi= to be an import string or a callable")
        if wsgi is not None and options:
            wsgi.configure(**options)
        return wsgi
    try:
        return Container(wsgi, **options)
    except TargetNotFound as error:
        if ":" in wsgi:
            raise
        raise TargetNotFound(
            f"{error}; for a host name, Tornado's second argument, use default_host="
        ) from None


def check_names(settings: dict[str, Any]) -> None:
    """Raises ConfigurationError for a setting that is nearly one of ours: Tornado would just accept it."""
    if "handlers" in settings:
        raise ConfigurationError("'handlers' is Tornado's name for the rules: here it is native=")
    ours = [*CONTAINER_SETTINGS, *_OTHERS]
    for name in settings:
        near = difflib.get_close_matches(name, ours, cutoff=0.85)
        near = [other for other in near if other[:3] == name[:3]]  # plugin_loader is not meant for us
        near.sort(key=lambda other: not other.startswith(name))  # wsgi_pool: wsgi_pools, not wsgi_spool
        if name not in ours and (near or name.startswith("wsgi_")):
            hint = f"; did you mean {near[0]!r}?" if near else f"; the settings are {', '.join(ours)}"
            raise ConfigurationError(f"unknown setting {name!r}{hint}")


def doubt_names(settings: dict[str, Any], *, has_app: bool) -> list[str]:
    """Warnings about settings that nothing here reads, one line each: Tornado accepts any name. One with our
    name whose value is no number or string is the application's own: it may keep its queue there.
    """
    plain = {name for name, value in settings.items() if isinstance(value, (bool, int, float, str))}
    said = [
        f"{name!r} is an option of waterspout serve, not a setting: it does nothing here"
        for name in sorted(plain & OPTIONS_ALONE)
    ]
    said += [
        f"{name!r} is an argument of HTTPServer, not a setting: it does nothing here; {instead}"
        for name, instead in _SERVER_ARGUMENTS.items()
        if settings.get(name)
    ]
    if has_app and settings.get("default_handler_class"):
        said.append("'default_handler_class' does not answer what no rule matches: the WSGI app does")
    for name in sorted(plain) if has_app else ():
        if f"wsgi_{name}" in CONTAINER_SETTINGS:
            said.append(f"{name!r} is not a setting and does nothing here: did you mean 'wsgi_{name}'?")
    return said
