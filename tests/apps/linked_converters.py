"""Custom converters: one that only matches, one that builds URLs in its own way."""

from werkzeug.routing import BaseConverter


class Word(BaseConverter):
    regex = "[a-z]+"

    def __init__(self, url_map, size):
        super().__init__(url_map)
        self.regex = f"[a-z]{{{size}}}"


class Slug(BaseConverter):
    def to_url(self, value):
        return super().to_url(value.lower().replace(" ", "-"))
