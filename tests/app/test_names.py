"""What a name may contain, wherever it comes from: a form, the command line, a script."""

import pytest

from app.store import Refused
from app.store.components import add_component, read_components, rename_component
from app.store.names import check_name
from app.store.operators import add_operator, read_operators

WRONG = [
    ("", "Give a name"),
    (" \n", "Give a name"),
    ("x" * 61, "Shorten this to 60"),
    ("a\x00b", "control characters"),
    ("a\x07b", "control characters"),
    ("a\udce9b", "control characters"),
    ("a\ufffeb", "control characters"),
    ("a\uffffb", "control characters"),
]


@pytest.mark.parametrize(("name", "complaint"), WRONG)
def test_what_will_not_do_is_refused_about_its_field(name, complaint):
    with pytest.raises(Refused, match=complaint) as refused:
        check_name(name)
    assert refused.value.field == "name"


@pytest.mark.parametrize("name", ["x", "x" * 60, "Ana María", "海", "می‌خواهم", "👩‍🚒"])
def test_what_people_are_called_will_do(name):
    assert check_name(name) == name


@pytest.mark.parametrize(("name", "complaint"), WRONG)
def test_no_operator_and_no_component_is_called_so(store, name, complaint):
    with pytest.raises(Refused, match=complaint):
        store.write(add_operator, name, "a hash")
    with pytest.raises(Refused, match=complaint):
        store.write(add_component, name)
    web = store.write(add_component, "Web").id
    with pytest.raises(Refused, match=complaint):
        store.write(rename_component, web, name)
    assert store.read(read_operators) == []
    assert [component.name for component in store.read(read_components)] == ["Web"]


def test_blanks_are_tidied_before_a_name_is_compared(store):
    store.write(add_operator, " anna\t b ", "a hash")
    with pytest.raises(Refused, match="already"):
        store.write(add_operator, "Anna B", "a hash")
    assert [operator.name for operator in store.read(read_operators)] == ["anna b"]
