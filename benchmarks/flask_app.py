"""The app that every contestant serves: an ordinary Flask view."""

from flask import Flask

app = Flask(__name__)


@app.get("/")
def index() -> str:
    return "Hello from Flask"
