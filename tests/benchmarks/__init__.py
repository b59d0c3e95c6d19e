"""Tests of `benchmarks`: what it makes of figures, never the figures themselves."""
