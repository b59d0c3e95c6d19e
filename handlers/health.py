"""`/healthz`: the event loop is alive. Asks no database, so that a slow disk doesn't cause a restart."""

from waterspout import public
from waterspout.native import JSONHandler


@public
class HealthHandler(JSONHandler):
    def get(self) -> None:
        self.write({"status": "ok"})
