"""Which settings of an application are its container's."""

import inspect

import pytest
from tornado.web import RequestHandler

from waterspout import Application
from waterspout.container_settings import (
    CONTAINER_SETTINGS,
    OPTIONS_ALONE,
    check_names,
    doubt_names,
    make_container,
)
from waterspout.exceptions import ConfigurationError, TargetNotFound
from waterspout.options import OPTIONS
from waterspout.wsgi.container import Container


def test_each_name_is_one_that_the_container_takes():
    taken = inspect.signature(Container.__init__).parameters
    assert set(CONTAINER_SETTINGS.values()) <= set(taken)


def test_settings_reach_the_container_by_its_own_names():
    container = make_container("a:b", {"wsgi_threads": 3, "cookie_secret": "x"})
    assert container.pool.settings.threads == 3


def test_a_container_takes_the_settings_that_both_sides_have():
    own = Container("a:b", threads=3, max_body_size=7)
    assert make_container(own, {"graceful_timeout": 5, "root_path": "/shop"}) is own
    assert (own.pool.settings.graceful_timeout, own.pool.settings.threads, own.max_body_size) == (5, 3, 7)
    assert own.proxies.root_path == "/shop"


def test_no_app_needs_no_container():
    assert make_container(None, {"cookie_secret": "x"}) is None


@pytest.mark.parametrize("name", ["cookie_secret", "plugin_loader", "xsrf_cookies", "max_clients", "debug"])
def test_what_is_tornado_s_or_the_app_s_is_left_alone(name):
    check_names({name: 1})


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("login_loder", "did you mean 'login_loader'"),
        ("wsgi_pool", "did you mean 'wsgi_pools'"),
        ("url_converter", "did you mean 'url_converters'"),
        ("wsgi_nonsense", "the settings are wsgi_workers"),
    ],
)
def test_what_is_nearly_one_of_ours_is_refused(name, hint):
    with pytest.raises(ConfigurationError, match=hint):
        check_names({name: 1})


def test_each_option_is_a_setting_or_known_to_be_none():
    options = {option.name for options in OPTIONS.values() for option in options}
    others = {"native", "wsgi", "wsgi_pool", "debug", "native_max_body_size", "native_buffer"}
    assert options - set(CONTAINER_SETTINGS) - others == OPTIONS_ALONE


@pytest.mark.parametrize(
    "settings",
    [
        {"port": 9000},
        {"host": "0.0.0.0"},
        {"head_timeout": 3},
        {"access_log": False},
        {"ops_bind": "x"},
        {"reload": True},
    ],
)
def test_an_option_that_is_no_setting_is_told(settings):
    (name,) = settings
    said = f"'{name}' is an option of waterspout serve, not a setting: it does nothing here"
    assert Application([("/a", RequestHandler)], **settings).doubts[1:] == [said]


def test_a_setting_without_its_wsgi_is_told_where_there_is_an_app():
    settings = {"workers": 4, "threads": 3}
    said = [
        f"{name!r} is not a setting and does nothing here: did you mean 'wsgi_{name}'?" for name in settings
    ]
    assert sorted(Application(wsgi="a:b", **settings).doubts) == sorted(said)
    assert Application([], **settings).doubts == []


@pytest.mark.parametrize(
    ("name", "value", "instead"),
    [
        ("xheaders", True, "use trusted_proxies="),
        ("ssl_options", {"certfile": "x"}, "use --certfile and --keyfile"),
        ("max_buffer_size", 9, "use max_body_size= and native_max_body_size="),
        ("decompress_request", True, "there is no such option: a handler decompresses its own body"),
    ],
)
def test_an_argument_of_tornado_s_server_that_is_no_setting_is_told(name, value, instead):
    said = f"'{name}' is an argument of HTTPServer, not a setting: it does nothing here; {instead}"
    assert Application([], **{name: value}).doubts == [said]
    assert Application([], **{name: None}).doubts == []


def test_a_page_for_what_no_rule_matches_is_told_to_be_the_app_s():
    told = "'default_handler_class' does not answer what no rule matches: the WSGI app does"
    assert Application(wsgi="a:b", default_handler_class=RequestHandler).doubts[-1:] == [told]
    assert told not in Application([], default_handler_class=RequestHandler).doubts


def test_an_object_of_the_application_s_own_may_be_called_as_it_likes():
    assert doubt_names({"queue": object(), "loop": [], "server": {}, "debug": True}, has_app=True) == []


def test_tornado_s_word_for_the_rules_is_answered_with_ours():
    with pytest.raises(ConfigurationError, match="here it is native="):
        Application(handlers=[("/a", RequestHandler)])


def test_tornado_s_second_argument_is_known_for_a_host_name():
    with pytest.raises(TargetNotFound, match=r"MODULE:NAME .*; for a host name, .*, use default_host=$"):
        Application([], "www.example")
    with pytest.raises(TargetNotFound, match="write MODULE:NAME") as caught:
        Application([], "shop:web:app")
    assert "default_host" not in str(caught.value)


@pytest.mark.parametrize("pools", ["reports:/reports/*:1x4", ["reports"]])
def test_pools_are_a_dictionary(pools):
    with pytest.raises(
        ConfigurationError, match=r'wsgi pools must be a dictionary like \{"reports": \{"workers": 1'
    ):
        Application(wsgi="a:b", wsgi_pools=pools)


def test_a_container_s_settings_have_no_wsgi_before_them():
    said = "^threads: a Container's settings have no wsgi_ prefix$"
    with pytest.raises(ConfigurationError, match=said):
        Container("a:b", wsgi_threads=4)
    with pytest.raises(ConfigurationError, match=said):
        Container("a:b").configure(wsgi_threads=4)
    with pytest.raises(ConfigurationError, match=r"unknown setting 'colour'$"):
        Container("a:b", colour=4)
    with pytest.raises(ConfigurationError, match=r"unknown setting 'thread'; did you mean 'threads'\?$"):
        Container("a:b", thread=4)


def create_app(config=None):
    return print


class Asgi:
    async def __call__(self, scope, receive, send):
        pass


def make_local():
    def make():
        return print

    return make


@pytest.mark.parametrize(
    ("wsgi", "said"),
    [
        (
            create_app,
            f"wsgi, {__name__}.create_app, does not take (environ, start_response): if it is a factory, "
            f"write create_app(), or '{__name__}:create_app()'",
        ),
        (
            make_local(),
            f"wsgi, {__name__}.make_local.<locals>.make, does not take (environ, start_response): if it is "
            "a factory, write make()",
        ),
        (lambda environ: [], f"wsgi, {__name__}.<lambda>, does not take (environ, start_response)"),
        (Asgi(), f"wsgi, of {__name__}.Asgi, is an async (ASGI) app; Waterspout serves WSGI apps"),
        (
            Application([]),
            "wsgi, of waterspout.application.Application, does not take (environ, start_response)",
        ),
        ({}, "wsgi must be an import string or a WSGI callable, not {}"),
    ],
)
@pytest.mark.parametrize("make", [lambda wsgi: Application(wsgi=wsgi), Container])
def test_an_object_that_is_no_wsgi_app_is_refused_before_its_first_request(make, wsgi, said):
    with pytest.raises(ConfigurationError) as refused:
        make(wsgi)
    assert str(refused.value) == said


@pytest.mark.parametrize(
    ("native", "example"),
    [
        ("shop.native:routes", "`from shop.native import routes` and `native=routes`"),
        ("routes", "native=[...]"),
    ],
)
def test_rules_in_code_are_no_name(native, example):
    with pytest.raises(ConfigurationError) as refused:
        Application(native=native)
    assert str(refused.value) == (
        f"native={native!r} is a string, not a list of rules: write {example}; only waterspout serve "
        "--native takes the name of a list"
    )
