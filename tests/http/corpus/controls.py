"""Every control character in every place of a head."""

from tests.http.case import bad, good, head

_CONTROLS = [*range(0x20), 0x7F]


def _in_method(byte):
    return head(b"GE" + bytes([byte]) + b"T / HTTP/1.1")


def _in_target(byte):
    return head(b"GET /a" + bytes([byte]) + b"b HTTP/1.1")


def _in_name(byte):
    return head("GET / HTTP/1.1", b"X-" + bytes([byte]) + b"A: b")


def _in_value(byte):
    return head("GET / HTTP/1.1", b"X-A: b" + bytes([byte]) + b"c")


def _case(place, build, byte, bare):
    if byte == 0x0A:  # found before the line is whole, or not: both are right
        bare = None if bare else False
    return bad(f"control/{place}-{byte:02x}", build(byte), "a control character", bare=bare)


CASES = [
    *(_case("method", _in_method, byte, True) for byte in _CONTROLS),
    *(_case("target", _in_target, byte, False) for byte in _CONTROLS),
    *(_case("name", _in_name, byte, False) for byte in _CONTROLS),
    *(_case("value", _in_value, byte, False) for byte in _CONTROLS if byte != 0x09),
    good("control/value-09", _in_value(0x09), "HTAB is the one that may stand in a value"),
]
