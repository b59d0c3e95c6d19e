"""WSGI apps and native routes, ordinary and misbehaving, that the tests put behind a real server.

Each module is one theme. None of them knows the engine, `publishing` and `natives` apart: what an app saw it tells through `witness`.
"""
