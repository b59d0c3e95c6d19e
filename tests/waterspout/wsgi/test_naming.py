"""What the rules of each side are called."""

from waterspout.wsgi.naming import find_arguments


def test_arguments_stand_in_their_order():
    assert find_arguments('/<a>/<int(min=1):b>/x/<regex("a:b"):c>') == ["a", "b", "c"]
