"""`/feed.atom`: the incidents for feed readers (RFC 4287), one entry each, which grows with its updates."""

from datetime import UTC, datetime
from functools import partial

from app.store.incidents import read_board
from app.store.tables import Incident
from handlers.base import BoardDocumentHandler
from waterspout import public
from waterspout.native import Document

# When a feed without entries was last changed.
EPOCH = datetime.fromtimestamp(0, UTC)


@public
class AtomHandler(BoardDocumentHandler):
    """(Settings: `board_name`; `board_url`, may be empty.)"""

    async def get(self) -> None:
        # Links in a feed must be absolute. If the board's address is not set: the one that the reader used.
        host = self.settings["board_url"] or f"{self.request.protocol}://{self.request.host}"
        origin = host + self.root_path
        await self.send_document(("atom", origin), partial(self.write_feed, origin))

    async def write_feed(self, origin: str) -> Document:
        board = await self.store.read(read_board)
        incidents = sorted(board.incidents, key=last_change, reverse=True)
        feed = self.render_template(
            "feed.atom",
            origin=origin,
            updated=last_change(incidents[0]) if incidents else EPOCH,
            incidents=incidents,
            board_name=self.settings["board_name"],
        )
        return Document.of_xml(feed, "application/atom+xml")


def last_change(incident: Incident) -> datetime:
    """Return when its newest update was posted."""
    return incident.recent_updates[0].posted_at
