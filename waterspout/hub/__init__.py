"""Publish and subscribe, within one server.

Rule: a message is a JSON value, encoded where it is published and decoded for each subscriber, so it is the
same in whichever form the WSGI app runs, and no subscriber can change what another one gets.

    view, in any thread ── publish() ── Outbox ──[control channel]── Hub ── Subscription ── async for

May be imported from anywhere; imports nothing of Tornado, Flask, or `waterspout.wsgi`. `outbox.py` is for
a WSGI process, which has no event loop, so nothing of `local.py` may be loaded with it: import the modules
themselves.
"""
