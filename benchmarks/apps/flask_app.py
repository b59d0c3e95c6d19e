"""Ordinary Flask views."""

from flask import Flask

app = Flask(__name__)


@app.get("/")
def index() -> str:
    return "Hello from Flask"


@app.get("/json")
def hello() -> dict[str, str]:
    return {"message": "Hello, world"}
