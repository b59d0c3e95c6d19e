"""The types of option values: sizes, times, ports, modes, and how they are read. Leaf."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, Final

import click
from click.core import ParameterSource

from waterspout import limits
from waterspout.exceptions import ConfigurationError

DEFAULT_PORT: Final = 8888
#: With a time below this the server would be checking its clients all the time (seconds).
_SHORTEST: Final = 0.1


class _Type(click.ParamType):  # type: ignore[type-arg]  # generic from click 8.4 on, and not before
    """The base class of these types."""


class Size(_Type):
    """A number of bytes: 4096, 64KiB, 10MiB, 1GiB."""

    name = "size"
    _UNITS: Final = {"": 1, "b": 1, "kib": limits.KIB, "mib": limits.MIB, "gib": limits.GIB}

    def __init__(self, least: int = 0, most: float = math.inf) -> None:
        self._least = least
        self._most = most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"([0-9]{1,15})\s*([a-z]*)", str(value).strip().lower())
        if match is None or match[2] not in self._UNITS:
            self.fail(f"{value!r} is not a size like 4096, 64KiB, 10MiB or 1GiB", param, ctx)
        size = int(match[1]) * self._UNITS[match[2]]
        if size < self._least:
            self.fail(f"{value!r} is too small: at least {self._least}", param, ctx)
        if size > self._most:
            self.fail(f"{value!r} is too large: at most {format_size(int(self._most))}", param, ctx)
        return size


class Nice(_Type):
    """0 to 19, as in nice(1); or "idle", or "auto"."""

    name = "nice"
    _WORDS: Final = {"auto": limits.NICE_AUTO, "idle": limits.NICE_IDLE}

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        text = str(value).strip().lower()
        if text in self._WORDS:
            return self._WORDS[text]
        if not re.fullmatch(r"1?[0-9]", text):
            self.fail(f"{value!r} is neither auto nor idle nor a number from 0 to 19", param, ctx)
        return int(text)


def format_size(size: int) -> str:
    """Write a size as `Size` reads it."""
    for name, unit in (("GiB", limits.GIB), ("MiB", limits.MIB), ("KiB", limits.KIB)):
        if size and size % unit == 0:
            return f"{size // unit}{name}"
    return str(size)


class Number(click.IntRange):
    """A whole number."""

    name = "whole number"


class Time(click.FloatRange):
    """A number of seconds."""

    name = "number of seconds"


class Seconds(Time):
    """A finite time, not so short that the server does nothing but watch it."""

    def __init__(self) -> None:
        super().__init__(_SHORTEST)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        seconds = super().convert(value, param, ctx)
        if not math.isfinite(seconds):
            self.fail(f"{value!r} is not a finite time: every wait must end", param, ctx)
        return seconds


class Port(click.IntRange):
    """A port, or 0 for any free one.

    Where a Service is called "waterspout", Kubernetes sets WATERSPOUT_PORT to tcp://10.0.0.1:80 (or udp, or
    sctp): not meant for us, so the default is used, as if no port had been given.
    """

    name = "port number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        is_theirs = str(value).startswith(("tcp://", "udp://", "sctp://"))
        if is_theirs and ctx is not None and param is not None and param.name is not None:
            value = self._replace(value, param.name, ctx)
        place = parse_place(str(value))
        if place is not None:
            host, port = place
            meant = f"--host {host} --port {port}" if host else f"--port {port}"
            self.fail(f"{value!r} is not just a port: write {meant}", param, ctx)
        return super().convert(value, param, ctx)

    def _replace(self, value: Any, name: str, ctx: click.Context) -> Any:
        """Only for the variable: on the command line it is an ordinary mistake."""
        if ctx.get_parameter_source(name) is not ParameterSource.ENVIRONMENT:
            return value
        click.echo(f"waterspout: WATERSPOUT_PORT={value} is not meant for this server: ignored", err=True)
        ctx.set_parameter_source(name, ParameterSource.DEFAULT)
        return DEFAULT_PORT


def parse_place(text: str) -> tuple[str, str] | None:
    """Host and port of a text that has both, as other servers take it (HOST:PORT, :PORT, [::1]:PORT); None:
    it has not.
    """
    match = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[^:/\[\]]*):([0-9]{1,5})", text)
    return None if match is None else (match[1].strip("[]"), match[2])


class Mode(_Type):
    """The permissions of a file, as chmod(1) takes them: 660."""

    name = "mode"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        if not re.fullmatch(r"(0o?)?[0-7]{3}", value):
            self.fail(f"{value!r} is not a file mode like 660 or 600", param, ctx)
        return int(value, 8)


class Descriptors(_Type):
    """Numbers of open descriptors: 3 or 3,4."""

    name = "descriptors"
    envvar_list_splitter = ","

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        words = [word.strip() for word in str(value).split(",")]
        if not all(re.fullmatch(r"[0-9]{1,7}", word) for word in words):
            self.fail(f"{value!r} is neither a descriptor like 3 nor a list like 3,4", param, ctx)
        return tuple(map(int, words))


class Parsed(_Type):
    """What a function makes of the text; it raises ConfigurationError to say what is wrong."""

    def __init__(self, name: str, parse: Callable[[str], Any]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except ConfigurationError as error:
            self.fail(str(error), param, ctx)
