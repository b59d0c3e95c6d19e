"""The WSGI apps that an application's rules lead to: they are started, stopped and inspected together."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator

from tornado.concurrent import dummy_executor
from tornado.routing import AnyMatches, Rule, RuleRouter
from tornado.web import Application
from tornado.wsgi import WSGIContainer

from waterspout.limits import CUT_GRACE
from waterspout.routing.rule import spell_matcher
from waterspout.routing.rulemap import RuleMap
from waterspout.wsgi.container import Container
from waterspout.wsgi.pool.pool import Pool


def find_containers(application: Application) -> dict[Container, str]:
    """All containers in the order of the rules, each with what its first rule matches; that of `wsgi=` is
    last. A handler that gets a container as an argument leads to it, too.
    """
    found = {each: path for each, path in _find_all(application).items() if isinstance(each, Container)}
    own = getattr(application, "container", None)
    if isinstance(own, Container):
        found[own] = found.pop(own, "")
    return found


def doubt_stock(application: Application) -> list[str]:
    """What is lost where rules lead to Tornado's own WSGI containers: one line each, for people to read."""
    return [
        f"the rule {path!r} leads to Tornado's own WSGIContainer, {_describe_loss(container)}: put "
        "waterspout.Container in its place (docs/recipe.md)"
        for container, path in _find_all(application).items()
        if not isinstance(container, Container)
    ]


def _describe_loss(container: WSGIContainer) -> str:
    if container.executor is dummy_executor:
        return "and nothing else is served while one of its views runs"
    return "which takes views no body, and clients no reply, before it is whole"


def _find_all(application: Application) -> dict[WSGIContainer, str]:
    found: dict[WSGIContainer, str] = {}
    for path, container in _list(application.default_router.rules, ""):
        found.setdefault(container, path)
    return found


def _list(rules: Iterable[Rule], before: str) -> Iterator[tuple[str, WSGIContainer]]:
    for rule in rules:
        target = rule.target
        if isinstance(target, RuleMap):
            led = [(before + each.path, each.kwargs or {}) for each in target.path_rules]
            yield from ((path, each) for path, kwargs in led for each in _pick(kwargs.values()))
        path = before + ("" if isinstance(rule.matcher, AnyMatches) else spell_matcher(rule.matcher))
        yield from ((path, each) for each in _pick((target, *(rule.target_kwargs or {}).values())))
        router = target.default_router if isinstance(target, Application) else target
        if isinstance(router, RuleRouter):
            yield from _list(router.rules, path)


def _pick(values: Iterable[object]) -> list[WSGIContainer]:
    return [value for value in values if isinstance(value, WSGIContainer)]


def name_pools(application: Application) -> dict[str, Pool]:
    """The pools of all containers by name. Those of `wsgi=`, or of the only container, have their usual
    names; names of others begin with what their rule matches.
    """
    found = find_containers(application)
    own = getattr(application, "container", None)
    pools: dict[str, Pool] = {}
    for container, path in found.items():
        is_plain = container is own or len(found) == 1
        for name, pool in container.pools.items():
            said = name if is_plain else f"{path} {name}"
            while said in pools:  # two containers in the arguments of one rule, or for the same path
                said += "'"
            pools[said] = pool
    return pools


async def start_containers(application: Application) -> None:
    """Start all containers; harmless if they are running. Raises whatever keeps one from starting; then those
    that were not running before are stopped.
    """
    containers = list(find_containers(application))
    idle = [container for container in containers if not container.pool.is_open]
    if len(containers) > 1:
        for name, pool in name_pools(application).items():
            pool.call(name)
    starts = [asyncio.ensure_future(container.start()) for container in containers]
    try:
        await asyncio.gather(*starts)
    except BaseException:
        for start in starts:
            start.cancel()
        await asyncio.gather(*starts, return_exceptions=True)
        await asyncio.gather(*(each.stop(CUT_GRACE) for each in idle), return_exceptions=True)
        raise


async def stop_containers(application: Application, timeout: float | None = None) -> None:
    """Stop all containers, after letting running requests finish for at most `timeout` seconds (None: each
    container's own setting).
    """
    await asyncio.gather(*(container.stop(timeout) for container in find_containers(application)))
