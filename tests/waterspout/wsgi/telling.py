"""Names of rules as they arrive in another process."""

from waterspout.limits import FRAME_LIMIT
from waterspout.wsgi.naming import Names


def tell(names):
    told = Names()
    for payload in names.pack():
        assert len(payload) < FRAME_LIMIT / 4
        told.unpack(payload)
    return told
