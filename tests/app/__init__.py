"""Tests of `app`: the store, its database, and the service as it is started."""
