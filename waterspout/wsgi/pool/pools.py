"""The pools of one app: they start and stop together, and a request's path decides which one it goes to.

Slow reports in a pool of their own can't take up the lanes, or the queue, that sign-in needs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, replace
from typing import Any, Final

from waterspout import limits
from waterspout.exceptions import ConfigurationError, PoolError, WaterspoutError
from waterspout.message.record import Record
from waterspout.ops.figures import Figures
from waterspout.wsgi.exchange.admission import Admission
from waterspout.wsgi.exchange.exchange import Exchange
from waterspout.wsgi.exchange.spool import SpoolSpace
from waterspout.wsgi.naming import Link
from waterspout.wsgi.pool.bulkheads import MAIN, PoolRules, Rule, check_name
from waterspout.wsgi.pool.pool import Pool, Shared
from waterspout.wsgi.pool.starting import SharedStart
from waterspout.wsgi.settings import PoolSettings
from waterspout.wsgi.worker.loading import WSGIApp, load_app

#: Settings that can't differ between pools: they stop together, run one app, and share a disk.
_COMMON: Final = frozenset({"graceful_timeout", "debug", "spool"})
_OWN: Final = tuple(field.name for field in fields(PoolSettings) if field.name not in _COMMON)

NamedSettings = Mapping[str, Mapping[str, Any]]


class Pools:
    """The main pool, and those that `rules` send paths to.

    `settings`: of the main pool. `named`: name -> `{"workers": 1, "threads": 4}`, and any other settings that
    differ from the main pool's. `rules`: (pattern, name), see `bulkheads`.

    All run the same app; those without processes of their own share one app object. Raises
    ConfigurationError.

    Attributes: `main`; `all`, by name, the main pool first; `started` and `died`, always 0: each
    request is handed to one pool, which counts it.
    """

    started = died = 0

    def __init__(
        self,
        target: str | Callable[..., Any],
        settings: PoolSettings,
        named: NamedSettings | None = None,
        rules: Iterable[Rule] = (),
        link: Link | None = None,
    ) -> None:
        if not isinstance(named, (Mapping, type(None))):
            raise ConfigurationError(
                'wsgi pools must be a dictionary like {"reports": {"workers": 1, "threads": 4}}, '
                f"not {named!r}"
            )
        own = {name: _build_settings(name, given, settings) for name, given in (named or {}).items()}
        self._rules = PoolRules(rules, own)
        together = {MAIN: settings, **own}
        self._shared = shared = _share(list(together.values()))._replace(link=link)
        self.all = {
            name: Pool(target, each, shared._replace(name=name if own else ""))
            for name, each in together.items()
        }
        self.main = self.all[MAIN]
        self._start = SharedStart(self._start_all)

    @property
    def dispatcher(self) -> Pool | Pools:
        """What an exchange asks for a lane. With a single pool it is that pool, and paths are not matched."""
        return self if len(self.all) > 1 else self.main

    async def start(self) -> None:
        """Start all; harmless when started; concurrent callers wait for the same start. Raises what kept the
        app from being loaded; then no pool runs.
        """
        await self._start.wait()

    async def _start_all(self) -> None:
        starts = [asyncio.ensure_future(pool.start()) for pool in self.all.values()]
        try:
            results = await asyncio.gather(*starts, return_exceptions=True)
            failed = {name: each for name, each in zip(self.all, results, strict=True) if each is not None}
            for name, error in failed.items():
                raise error if len(failed) == len(self.all) else _name_pool(name, error)
        except PoolError:
            raise  # they keep running where they were started
        except BaseException:
            await asyncio.gather(*starts, return_exceptions=True)  # once cancelled, they clean up
            await self.stop(limits.CUT_GRACE)
            raise

    async def stop(self, timeout: float | None = None) -> None:
        """Let running and waiting requests finish in all pools, at most `timeout` seconds, then end them."""
        await asyncio.gather(*(pool.stop(timeout) for pool in self.all.values()))
        if isinstance(self._shared.load, LoadOnce):
            self._shared.load.forget()

    def reload(self) -> None:
        """Let new WSGI processes, which load the app's current code, take over from the existing ones."""
        for pool in self.all.values():
            pool.reload()

    # -- as a dispatcher ---------------------------------------------------------------------------------

    @property
    def figures(self) -> Figures:
        """For requests that are answered before they are handed to a pool."""
        return self.main.figures

    def find_admission(self, record: Record) -> Admission:
        """The admission of the pool that the path belongs to."""
        return self.all[self._rules.find(_target_of(record))].admission

    def submit(self, exchange: Exchange) -> None:
        """Hand it over to the pool that its path belongs to, for good."""
        self._hand_over(exchange).submit(exchange)

    def park(self, exchange: Exchange) -> None:
        """Hand it over as well."""
        self._hand_over(exchange).park(exchange)

    def _hand_over(self, exchange: Exchange) -> Pool:
        pool = self.all[self._rules.find(_target_of(exchange.record))]
        exchange.hand_to(pool)
        return pool

    def resubmit(self, exchange: Exchange) -> None:
        """Does nothing: after `submit` or `park` the exchange has been handed on, and asks its pool."""

    def withdraw(self, exchange: Exchange) -> None:
        """Does nothing: the exchange has been handed on, and asks its pool."""


def _target_of(record: Record) -> str:
    """The target below the root path, which is not part of what rules match."""
    rest = record.target[len(record.root_path) :]
    return rest if rest[:1] not in ("", "?") else "/" + rest


def _build_settings(name: str, given: Mapping[str, Any], main: PoolSettings) -> PoolSettings:
    """Raises ConfigurationError."""
    check_name(name)
    if not isinstance(given, Mapping) or not {"workers", "threads"} <= set(given):
        raise ConfigurationError(
            f"pool {name!r}: give its number of workers and threads, like "
            f'{{"workers": 1, "threads": 4}}, not {given!r}'
        )
    for setting in given:
        if setting in _COMMON:
            raise ConfigurationError(f"pool {name!r}: {setting} is the same for all pools")
        if setting not in _OWN:
            raise ConfigurationError(
                f"pool {name!r}: unknown setting {setting!r}; the settings are {', '.join(_OWN)}"
            )
    try:
        return replace(main, **given)
    except ConfigurationError as error:
        raise ConfigurationError(f"pool {name!r}: {error}") from None


def _share(settings: list[PoolSettings]) -> Shared:
    """What the pools of these settings have in common. Raises ConfigurationError."""
    here = [each for each in settings if not each.workers]
    processes = sum(each.workers for each in settings) + bool(here)
    if len(settings) > 1 and processes > 1 and settings[0].debug:
        raise ConfigurationError(
            "--debug works with one WSGI process, where its frames live: leave out the named pools, or make "
            "all of them threads of the server"
        )
    return Shared(
        multiprocess=processes > 1 if len(settings) > 1 else settings[0].workers > 1,
        multithread=sum(each.threads for each in here) > 1,
        load=LoadOnce() if len(here) > 1 else load_app,
        space=SpoolSpace(settings[0].spool),
    )


class LoadOnce:
    """Loads the app for all pools whose lanes are threads of this process: a factory makes one app, not one
    per pool. Raises what `load_app` raises, on each attempt.
    """

    def __init__(self) -> None:
        self._app: WSGIApp | None = None

    def __call__(self, target: str | WSGIApp, *, debug: bool = False) -> WSGIApp:
        if self._app is None:
            self._app = load_app(target, debug=debug)
        return self._app

    def forget(self) -> None:
        """Drop the app: a pool that is started again loads it again."""
        self._app = None


def _name_pool(name: str, error: BaseException) -> BaseException:
    """The error, with the pool's name in its text."""
    if not isinstance(error, WaterspoutError):
        return error
    named = type(error)(f"pool {name}: {error}")
    named.__cause__ = error.__cause__
    return named
