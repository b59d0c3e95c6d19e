"""The service: the one package that knows both sides.

`settings` and `store` know neither Tornado nor Flask and may be imported by `handlers` and `wsgi_app`;
`application` puts the two together.
"""
