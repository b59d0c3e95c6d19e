"""Who owns a path and a method: native rules in their order, then the WSGI app.

    ("/incidents/<int:id>", IncidentHandler)      as in Flask, matched by `werkzeug.routing`
    (r"/files/(.*)", StaticFileHandler, {...})    as in Tornado, a regular expression

    rule.py       one native rule, written Flask's way
    gathering.py  turns rules as people write them into Tornado's
    rulemap.py    rules in Flask's notation, matched by Werkzeug
    table.py      all rules of an application as one list
    route.py      where a rule leads
    containers.py    the WSGI apps that rules lead to
    native_names.py  the names of native rules, for a Flask app that is not being served
    paths.py      how a path is decoded, and which patterns are Flask's    (pure)

See docs/routing.md.
"""
