"""Many native rules, below the path of a Flask view: `/json/r7/items/<int:id>` and so on."""

from tornado.web import RequestHandler


class ItemHandler(RequestHandler):
    def get(self, number: int) -> None:
        self.write({"message": "Hello, world"})


ten = [(f"/json/r{place}/items/<int:number>", ItemHandler) for place in range(10)]
thousand = [(f"/json/r{place}/items/<int:number>", ItemHandler) for place in range(1000)]
expressions = [(rf"/json/r{place}/items/([0-9]+)", ItemHandler) for place in range(10)]
