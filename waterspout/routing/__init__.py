"""Who owns a path and a method: native rules in their order, then the WSGI app.

    ("/incidents/<int:id>", IncidentHandler)      as in Flask, matched by `werkzeug.routing`
    (r"/files/(.*)", StaticFileHandler, {...})    as in Tornado, a regular expression

See docs/routing.md.
"""
