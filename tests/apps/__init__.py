"""WSGI apps and native routes, ordinary and misbehaving, that the tests put behind a real server.

Each module is one theme. None but `publishing` and `natives` knows the engine; what an app saw it tells
through `witness`.
"""
