"""What every contestant serves: two routes and a WebSocket, written as each framework's documentation would.

flask_app.py        `/` text and `/json`, ordinary views
recipe.py           the same, by FallbackHandler, WSGIContainer and ThreadPoolExecutor
bridge.py           the same, in Starlette by a2wsgi
native.py           `/json` and `/socket`, plain Tornado
lean.py             `/json` with waterspout.native.RequestHandler
starlette_app.py    `/json` and `/socket`
tornado_server.py   Tornado's own server for native.py and recipe.py
waitress_server.py  waitress for flask_app.py
aiohttp_server.py   `/socket`
"""
