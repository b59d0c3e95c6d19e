"""Native rules, and a server that checks its certificate more than once a day."""

from tests.apps.natives import routes
from waterspout import limits

__all__ = ["routes"]

limits.CERTIFICATE_LOOK = 0.3
