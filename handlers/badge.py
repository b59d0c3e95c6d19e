"""`/badge.svg`: how things are, a picture for other people's pages. `?component=`: how one of them is."""

from functools import partial

from tornado.web import HTTPError

from app.store import Condition
from handlers.base import DocumentHandler
from handlers.documents import Document

# By the worst condition: what the badge says, and its colour. White text on each has a contrast of 4.5:1.
BADGES = {
    Condition.OPERATIONAL: ("operational", "#0d7a45"),
    Condition.MAINTENANCE: ("maintenance", "#1a5bbd"),
    Condition.MINOR: ("degraded", "#8a5a00"),
    Condition.MAJOR: ("partial outage", "#b04a08"),
    Condition.CRITICAL: ("outage", "#b3221b"),
}

# The width of a character of 11 pixels, and the room beside a word. `textLength` makes the font obey.
CHARACTER = 6.6
MARGIN = 9

NAME_LENGTH = 60


class BadgeHandler(DocumentHandler):
    """(Setting: `templates`, a Jinja2 environment.)"""

    async def get(self) -> None:
        name = self.get_query_argument("component", "")[:NAME_LENGTH]
        try:
            document = await self.documents.get(("badge", name), partial(self.draw, name))
        except LookupError:
            raise HTTPError(404) from None
        self.send_document(document)

    head = get

    async def draw(self, name: str) -> Document:
        """Return the badge of the component of this name, or number; without a name, of the whole.

        Raises LookupError: there is none.
        """
        statuses = await self.store.components()
        chosen = [
            each for each in statuses if not name or name in (each.component.name, str(each.component.id))
        ]
        if name and not chosen:
            raise LookupError(name)
        conditions = [each.condition for each in chosen]
        if not name and (await self.store.board()).open_count:
            conditions.append(Condition.MINOR)  # an open incident need not concern a component
        text, colour = BADGES[max(conditions, key=lambda each: each.rank, default=Condition.OPERATIONAL)]
        label = chosen[0].component.name if name else "status"
        svg = (
            self.settings["templates"]
            .get_template("badge.svg")
            .render(label=label, text=text, colour=colour, widths=[width_of(label), width_of(text)])
        )
        return Document.of_xml(svg, "image/svg+xml")


def width_of(text: str) -> int:
    return round(len(text) * CHARACTER) + 2 * MARGIN
