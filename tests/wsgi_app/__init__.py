"""Tests of `wsgi_app`: Flask views, asked through its test client."""
