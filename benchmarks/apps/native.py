"""Native routes, in plain Tornado."""

from tornado.web import RequestHandler
from tornado.websocket import WebSocketHandler


class Hello(RequestHandler):
    async def get(self) -> None:
        self.write({"message": "Hello, world"})


class Echo(WebSocketHandler):
    async def on_message(self, message: str | bytes) -> None:
        await self.write_message(message)


routes = [(r"/json", Hello), (r"/socket", Echo)]
