import pytest

from app.store.tables import Operator
from wsgi_app.sessions import SESSION_LASTS, SignedIn, load_operator

NO_MARK = "0" * 16


@pytest.fixture
def user():
    return SignedIn.from_operator(Operator(id=7, name="anna", password="a hash"))


def test_an_operator_is_what_flask_login_wants(user):
    assert (user.is_authenticated, user.is_active, user.is_anonymous) == (True, True, False)
    assert user.get_id().startswith("7:")


def test_another_password_is_another_mark(user):
    other = SignedIn.from_operator(Operator(id=7, name="anna", password="another hash"))
    assert other.get_id() != user.get_id()
    assert "hash" not in user.get_id()


def test_a_session_is_its_operators(flask_app, anna):
    with flask_app.app_context():
        assert load_operator(SignedIn.from_operator(anna).get_id()).name == "anna"


@pytest.mark.parametrize(
    "text", ["", "1", "1:", "1:xyz", f"7:{NO_MARK}", f"{9**12}:{NO_MARK}", f"0:{NO_MARK}"]
)
def test_another_word_is_nobodys(flask_app, anna, text):
    with flask_app.app_context():
        assert load_operator(text) is None


def test_sessions_end(flask_app):
    assert flask_app.permanent_session_lifetime == SESSION_LASTS
