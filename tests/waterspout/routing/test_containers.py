"""The WSGI apps that an application's rules lead to."""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest
import tornado.web
from tornado.routing import PathMatches, Rule
from tornado.web import FallbackHandler, RequestHandler
from tornado.wsgi import WSGIContainer

from tests.waterspout.wsgi import apps
from waterspout import Application, Container
from waterspout.exceptions import TargetNotFound
from waterspout.routing.containers import (
    doubt_stock,
    find_containers,
    name_pools,
    start_containers,
    stop_containers,
)

pytestmark = pytest.mark.gen_test(timeout=20)
ONE_THREAD = {"workers": 0, "threads": 1}


class TakesTwo(RequestHandler):
    def initialize(self, first, second):
        pass


def make(count):
    return [Container(apps.app, threads=1) for _ in range(count)]


@pytest.mark.parametrize("application_class", [Application, tornado.web.Application])
async def test_they_are_found_wherever_a_rule_may_have_them(application_class):
    containers = make(8)
    fallbacks = [{"fallback": container} for container in containers]
    inner = tornado.web.Application([("/in", FallbackHandler, fallbacks[3])])
    flasks = application_class is Application
    rules = [
        ("/target", containers[0]),
        ("/fallback/.*", FallbackHandler, fallbacks[1]),
        ("/again/.*", FallbackHandler, fallbacks[1]),
        (PathMatches("/list.*"), [("/list/a", FallbackHandler, fallbacks[2])]),
        Rule(PathMatches("/app"), inner),
        ("/two", TakesTwo, {"first": containers[4], "second": containers[5]}),
        ("/<int:id>" if flasks else "/(.*)", FallbackHandler, fallbacks[6]),
    ]
    application = application_class(rules)
    application.add_handlers("shop.example", [("/host", FallbackHandler, fallbacks[7])])
    found = find_containers(application)
    assert set(found) == set(containers)
    spelled = [found[container] for container in containers]
    last = "/<int:id>" if flasks else "/(.*)"
    expected = ["/target", "/fallback/.*", "/list.*/list/a", "/app/in", "/two", "/two", last]
    assert spelled == [*expected, "shop.example/host"]


@pytest.mark.parametrize("application_class", [Application, tornado.web.Application])
async def test_tornado_s_own_are_doubted(application_class):
    """They are no mistake of a program, and what its author wanted to get rid of."""
    on_loop, in_threads = WSGIContainer(apps.app), WSGIContainer(apps.app, ThreadPoolExecutor(1))
    (ours,) = make(1)
    targets = {"/loop/.*": on_loop, "/again/.*": on_loop, "/threads/.*": in_threads, "/ours/.*": ours}
    rules = [(path, FallbackHandler, {"fallback": container}) for path, container in targets.items()]
    application = application_class(rules)
    assert doubt_stock(application) == [
        "the rule '/loop/.*' leads to Tornado's own WSGIContainer, and nothing else is served while one of "
        "its views runs: put waterspout.Container in its place (docs/recipe.md)",
        "the rule '/threads/.*' leads to Tornado's own WSGIContainer, which takes views no body, and clients "
        "no reply, before it is whole: put waterspout.Container in its place (docs/recipe.md)",
    ]
    assert list(find_containers(application)) == [ours]


async def test_a_container_of_another_kind_is_no_matter():
    """`container` is a usual name for what injects dependencies."""
    application = tornado.web.Application([])
    application.container = object()
    assert find_containers(application) == {}


async def test_where_there_is_one_its_pools_have_their_own_names():
    container = Container(apps.app, threads=1, pools={"slow": ONE_THREAD}, pool_rules=[("/s", "slow")])
    rules = [("/a/.*", FallbackHandler, {"fallback": container})]
    for application in (Application(rules), tornado.web.Application(rules), Application(wsgi=container)):
        assert name_pools(application) == container.pools


async def test_of_several_none_hides_another():
    container = Container(apps.app, threads=1, pools={"slow": ONE_THREAD}, pool_rules=[("/s", "slow")])
    first, second, behind = make(3)
    rules = [
        ("/a/.*", FallbackHandler, {"fallback": container}),
        ("/two", TakesTwo, {"first": first, "second": second}),
    ]
    assert name_pools(Application(rules, wsgi=behind)) == {
        "/a/.* main": container.pool,
        "/a/.* slow": container.pools["slow"],
        "/two main": first.pool,
        "/two main'": second.pool,
        "main": behind.pool,
    }


async def test_that_of_wsgi_is_the_last_and_its_own_name_is_plain():
    container, other = make(2)
    rules = [("/a", FallbackHandler, {"fallback": container}), ("/b", FallbackHandler, {"fallback": other})]
    application = Application(rules, wsgi=container)
    assert list(find_containers(application)) == [other, container]
    assert set(name_pools(application)) == {"/b main", "main"}


async def test_they_start_and_stop_together():
    containers = make(2)
    application = Application([("/a", containers[0]), ("/b", containers[1])])
    await application.start()
    assert all(container.pool.is_open for container in containers)
    await application.stop(1)
    assert not any(container.pool.is_open for container in containers)


async def test_the_log_calls_pools_by_the_same_names_where_there_are_several(caplog):
    first, second = make(2)
    for application in (Application([("/a", first)], wsgi=second), Application(wsgi=make(1)[0])):
        await application.start()
        for container in find_containers(application):
            container.reload()
        await application.stop(1)
    said = [record.getMessage().partition("runs in threads")[0] for record in caplog.records]
    assert said == ["pool /a main: the WSGI app ", "pool main: the WSGI app ", "the WSGI app "]


async def test_what_they_have_counted_stays_when_they_are_started_again():
    first, second = make(2)
    application = Application([("/a", first)], wsgi=second)
    await application.start()
    supervisor = first.pool._supervisor
    await application.stop(1)
    await application.start()
    assert first.pool._supervisor is supervisor
    await application.stop(1)


async def test_if_one_can_t_be_loaded_none_runs_but_those_that_did_before():
    before, other = make(2)
    lacking = Container("no_such_module:app", workers=0)
    rules = [(f"/{name}", each) for name, each in zip("abc", (before, other, lacking), strict=True)]
    application = tornado.web.Application(rules)
    await before.start()
    with pytest.raises(TargetNotFound, match=re.escape("'no_such_module:app'")):
        await start_containers(application)
    assert [each.pool.is_open for each in (before, other, lacking)] == [True, False, False]
    await stop_containers(application, 1)
    assert not before.pool.is_open


async def test_if_one_can_t_be_loaded_no_other_is_waited_for(tmp_path, monkeypatch):
    (tmp_path / "loaded_for_long.py").write_text("import time; time.sleep(60)")
    monkeypatch.syspath_prepend(tmp_path)
    loading, lacking = [Container(f"{name}:app") for name in ("loaded_for_long", "no_such_module")]
    with pytest.raises(TargetNotFound):
        await start_containers(tornado.web.Application([("/a", loading), ("/b", lacking)]))
    assert not loading.pool.is_open
