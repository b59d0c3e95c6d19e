"""What every contestant serves: some routes and a WebSocket, written as each framework's documentation would.

flask_app.py        `/` text, `/json`, `/burn`, `/sleep`, `/upload`, `/download/SIZE`: ordinary views
recipe.py           the same, by FallbackHandler, WSGIContainer and ThreadPoolExecutor
bridge.py           the same, in Starlette by a2wsgi
hybrid.py           native.py and recipe.py in one process
hybrid_bridge.py    starlette_app.py and bridge.py in one process
nginx_server.py     native.py on Tornado's server and flask_app.py on gunicorn, behind nginx
native.py           `/json` and `/socket`, plain Tornado
lean.py             `/json` with waterspout.native.RequestHandler
routes.py           many native rules
starlette_app.py    `/json` and `/socket`
tornado_server.py   Tornado's own server for native.py and recipe.py
waitress_server.py  waitress for flask_app.py
aiohttp_server.py   `/socket`
"""
