"""The native JSON route on Waterspout's own handler, which has Tornado's interface."""

from waterspout.native import RequestHandler


class Hello(RequestHandler):
    async def get(self) -> None:
        self.write({"message": "Hello, world"})


routes = [(r"/json", Hello)]
