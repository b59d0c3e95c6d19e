"""WSGI apps and native routes, ordinary and misbehaving, that the tests put behind a real server.

Each module is one theme. Most of them know nothing of the engine; what an app saw, it reports through
`witness`.
"""
