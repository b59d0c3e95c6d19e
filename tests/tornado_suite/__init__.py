"""Tornado's own test suite, which ships inside the package, run on our HTTPServer."""
