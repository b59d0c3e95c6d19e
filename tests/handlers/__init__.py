"""Tests of `handlers`: native routes, asked over real sockets."""
