"""`/healthz`: the event loop is alive. It asks no database, so that a slow disk restarts nobody."""

from waterspout import public
from waterspout.native import JSONHandler


@public
class HealthHandler(JSONHandler):
    def get(self) -> None:
        self.write({"status": "ok"})
