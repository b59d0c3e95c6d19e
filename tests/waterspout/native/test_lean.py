"""Which classes run in place of handlers."""

import abc
from typing import Generic, Protocol, TypeVar, runtime_checkable

import pytest
from tornado.web import RequestHandler, StaticFileHandler
from tornado.websocket import WebSocketHandler

from waterspout.native import RequestHandler as OurRequestHandler
from waterspout.native.handler import LeanRequestHandler
from waterspout.native.lean import LeanClasses, make_lean
from waterspout.native.static import SendingFileHandler


class Handler(RequestHandler):
    pass


class Files(StaticFileHandler):
    pass


class Socket(WebSocketHandler):
    pass


def test_each_kind_has_what_it_needs_beneath():
    lean = LeanClasses()
    assert issubclass(lean[Handler], (Handler, LeanRequestHandler))
    assert issubclass(lean[Files], SendingFileHandler)
    assert lean[Socket].get_websocket_protocol is not WebSocketHandler.get_websocket_protocol


def test_a_class_is_made_once_and_again_after_a_clearing():
    lean = LeanClasses()
    first = lean[Handler]
    assert lean[Handler] is first
    lean.clear()
    assert lean[Handler] is not first


T = TypeVar("T")


class Abstract(RequestHandler, abc.ABC):
    @abc.abstractmethod
    def find(self): ...


class Concrete(Abstract):
    def find(self):
        return 7


class Typed(RequestHandler, Generic[T]):
    pass


class Bound(Typed[int]):
    pass


@runtime_checkable
class Finds(Protocol):
    def find(self) -> int: ...


class Conforming(RequestHandler, Finds):
    """Declares which protocol it follows, for type checkers."""

    def find(self):
        return 7


class AbstractSocket(WebSocketHandler, abc.ABC):
    pass


@pytest.mark.parametrize("cls", [Concrete, Typed, Bound, Conforming, AbstractSocket])
def test_classes_of_abc_s_and_typing_s_are_made_lean_and_stay_as_they_were(cls):
    before = {name: value for name, value in vars(cls).items() if not name.startswith("_waterspout")}
    lean = LeanClasses()[cls]
    assert issubclass(lean, cls)
    assert issubclass(lean, LeanRequestHandler)
    assert lean == cls
    assert {name: value for name, value in vars(cls).items() if not name.startswith("_waterspout")} == before
    assert Typed.__parameters__ == (T,)
    assert Typed[str]
    assert issubclass(lean, Finds) == issubclass(cls, Finds)
    assert cls.__abstractmethods__ == frozenset() if isinstance(cls, abc.ABCMeta) else True
    lean.counted = 1
    assert vars(cls)["counted"] == cls.counted == 1
    del lean.counted
    assert "counted" not in vars(cls)


def test_a_class_that_is_still_abstract_makes_no_handlers():
    with pytest.raises(TypeError, match="abstract"):
        make_lean(Abstract)(None, None)


@pytest.mark.parametrize("base", [RequestHandler, OurRequestHandler])
def test_what_a_class_calls_ui_hides_no_handler_s(base):
    cls = type("Named", (base,), {"ui": "dashboard"})
    assert make_lean(cls).ui is LeanRequestHandler.ui
    assert cls.ui == "dashboard"


def test_what_is_asked_of_the_very_class_is_said_by_the_lean_one():
    class Declares(RequestHandler, Generic[T]):
        page: int

    class Declared(Declares[int]):
        size: str

    for cls in (Declares, Declared):
        lean = make_lean(cls)
        assert lean.__annotations__ == cls.__annotations__ != {}
        assert lean.__orig_bases__ == cls.__orig_bases__  # for types.get_original_bases() of Python 3.12
        assert "__orig_bases__" in vars(lean)


class Metaclassed(RequestHandler, metaclass=type("Meta", (type,), {})):
    pass


class Noticing(RequestHandler):
    def __init_subclass__(cls):
        raise AssertionError


def test_a_class_is_made_lean_once_and_only_if_nobody_can_tell():
    lean = make_lean(Handler)
    assert issubclass(lean, Handler)
    assert issubclass(lean, LeanRequestHandler)
    for left_alone in (RequestHandler, LeanRequestHandler, OurRequestHandler, Metaclassed, Noticing):
        assert make_lean(left_alone) is left_alone
