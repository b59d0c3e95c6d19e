"""`/badge.svg`: the current status as a picture, for other sites' pages. `?component=`: of one component."""

from functools import partial

from tornado.web import HTTPError

from app.store.history import Condition, read_statuses, worst
from app.store.incidents import read_open_count
from app.store.tables import NAME_LENGTH
from handlers.base import BoardDocumentHandler
from waterspout import public
from waterspout.native import Document

# By the worst condition: the badge's text, and its colour. White text on each has a contrast of 4.5:1.
BADGES = {
    Condition.OPERATIONAL: ("operational", "#0d7a45"),
    Condition.MAINTENANCE: ("maintenance", "#1a5bbd"),
    Condition.MINOR: ("degraded", "#8a5a00"),
    Condition.MAJOR: ("partial outage", "#b04a08"),
    Condition.CRITICAL: ("outage", "#b3221b"),
}

# The width of a character at 11 pixels, and the margin around a word. `textLength` makes any font fit.
CHARACTER = 6.6
MARGIN = 9


@public
class BadgeHandler(BoardDocumentHandler):
    async def get(self) -> None:
        name = self.get_query_argument("component", "")[:NAME_LENGTH]
        draw = partial(self.draw_component, name) if name else self.draw_all
        await self.send_document(("badge", name), draw)

    async def draw_component(self, name: str) -> Document:
        """Return the badge of the component with this name or id; raises HTTPError: there is none."""
        for status in await self.store.read(read_statuses):
            if name in (status.component.name, str(status.component.id)):
                return self.draw(status.component.name, status.condition)
        raise HTTPError(404)

    async def draw_all(self) -> Document:
        conditions = [status.condition for status in await self.store.read(read_statuses)]
        if await self.store.read(read_open_count):
            conditions.append(Condition.MINOR)  # an open incident need not concern a component
        return self.draw("status", worst(conditions))

    def draw(self, label: str, condition: Condition) -> Document:
        text, colour = BADGES[condition]
        widths = [round(len(word) * CHARACTER) + 2 * MARGIN for word in (label, text)]
        svg = self.render_template("badge.svg", label=label, text=text, colour=colour, widths=widths)
        return Document.of_xml(svg, "image/svg+xml")
