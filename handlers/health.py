"""`/healthz`: the event loop is alive. It asks no database, so that a slow disk restarts nobody."""

from handlers.base import BoardHandler


class HealthHandler(BoardHandler):
    def get(self) -> None:
        self.write({"status": "ok"})

    head = get
