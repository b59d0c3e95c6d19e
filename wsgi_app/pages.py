"""All pages, and who may see them."""

from flask import Flask

from wsgi_app.admin import admin
from wsgi_app.attachments import attachments
from wsgi_app.commands import commands
from wsgi_app.errors import add_error_pages
from wsgi_app.guards import guard
from wsgi_app.public import public
from wsgi_app.sign_in import sign_in


def add_pages(app: Flask) -> None:
    guard(app)
    for blueprint in (public, attachments, sign_in, admin, commands):
        app.register_blueprint(blueprint)
    add_error_pages(app)
