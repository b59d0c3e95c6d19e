"""Where users who are not signed in are sent, and what is said at the start when that can't be right."""

import pytest
import tornado.web
from tornado.web import RequestHandler
from tornado.websocket import WebSocketHandler

from waterspout import Application, authenticated, public
from waterspout.exceptions import ConfigurationError


class Account(RequestHandler):
    @authenticated
    def get(self):
        pass


@public
class Home(RequestHandler):
    def get(self):
        pass


class Pays(RequestHandler):
    @authenticated
    def post(self):
        pass


class PaysAsKnown(Pays):
    def get_current_user(self):
        return None


class Elsewhere(Account):
    def get_current_user(self):
        return None

    def get_login_url(self):
        return self.reverse_url("login")


class Prepared(Account):
    def prepare(self):
        self.redirect("/welcome")


class Socket(WebSocketHandler):
    @authenticated
    def get(self):
        pass


NOT_SENT = [("/", Home), ("/pay", Pays), ("/else", Elsewhere), ("/prepared", Prepared), ("/ws", Socket)]


def load(handler):
    return None


@pytest.mark.parametrize("loader", ["shop.users:load", {}, 1, False])
def test_a_loader_is_a_function(loader):
    with pytest.raises(
        ConfigurationError, match="login_loader must be a function from a handler to its user"
    ):
        Application([("/account", Account)], login_loader=loader)


@pytest.mark.parametrize("loader", [lambda: None, lambda handler, session: None])
def test_a_loader_is_called_with_a_handler_alone(loader):
    with pytest.raises(
        ConfigurationError, match=r"is called with the handler and nothing else, which \S*lambda"
    ):
        Application([("/account", Account)], login_loader=loader)


@pytest.mark.parametrize("url", ["/auth/login", "/", "/shopping/login"])
def test_a_place_to_sign_in_outside_of_the_root_path_is_told(url):
    application = Application([("/account", Account)], login_loader=load, login_url=url)
    assert application.doubts == []
    application.configure(root_path="/shop")  # as --root-path does
    (said,) = application.doubts
    assert said.startswith(f"login_url {url!r} is not below --root-path '/shop': ")
    assert "get_login_url() return self.reverse_url(...)" in said


@pytest.mark.parametrize(
    "url", ["/shop/login", "/shop", "/shop?login", "https://sign.in/", "//sign.in/x", "login"]
)
def test_one_that_is_inside_or_another_site_s_is_not(url):
    rules = [("/account", Account)]
    assert Application(rules, login_loader=load, login_url=url, root_path="/shop").doubts == []


@pytest.mark.parametrize("settings", [{}, {"login_url": ""}, {"login_url": None, "login_loader": load}])
def test_a_place_to_sign_in_that_nobody_has_named_is_told(settings):
    class Tornados(RequestHandler):
        def get_current_user(self):
            return None

        @tornado.web.authenticated
        def get(self):
            pass

    (said,) = Application([("/t", Tornados), ("/else", Elsewhere), ("/pay", PaysAsKnown)], **settings).doubts
    assert said == (
        "login_url is not set: each GET by a user who is not signed in will get 500 at "
        f'{__name__}.{Tornados.__qualname__}; give the application login_url="/path/to/sign/in", or the '
        "handler a get_login_url()"
    )
    many = [(f"/{number}", type(f"Many{number}", (Tornados,), {})) for number in range(7)]
    (said,) = Application(many, **settings).doubts
    assert f"{__name__}.Many4 and 2 more; give" in said


def test_nobody_is_sent_out_by_handlers_that_say_it_themselves():
    assert Application(NOT_SENT, login_loader=load, login_url="/login", root_path="/shop").doubts == []
