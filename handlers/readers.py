"""`/api/readers`: how many pages are open, for operators. Users signed in with Flask are known here, too."""

from handlers.base import Mounted
from waterspout import authenticated
from waterspout.native import JSONHandler
from waterspout.native.live import Watch


@authenticated
class ReadersHandler(Mounted, JSONHandler):
    def get_login_url(self) -> str:
        return self.root_path + super().get_login_url()

    def get(self) -> None:
        watch: Watch = self.settings["watch"]
        self.write({"readers": watch.follower_count})
