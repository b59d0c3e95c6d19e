"""`/api/readers`: how many pages are open, for operators. Users signed in with Flask are known here, too."""

from waterspout import authenticated
from waterspout.native import JSONHandler
from waterspout.native.live import Watch


@authenticated
class ReadersHandler(JSONHandler):
    def get(self) -> None:
        watch: Watch = self.settings["watch"]
        self.write({"readers": watch.follower_count})
