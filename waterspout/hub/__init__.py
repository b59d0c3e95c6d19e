"""Publish and subscribe, within one server.

Rule: a message is a JSON value, encoded where it is published and decoded for each subscriber, so it is the
same whichever form the WSGI app runs in, and no subscriber can change what another one gets.

    view, in any thread ── publish() ── Outbox ──[control channel]── Hub ── Subscription ── async for

May be imported by anybody; imports nothing of Tornado, Flask, or `waterspout.wsgi`.
"""

from waterspout.hub.local import Hub, Subscription, hub, subscribe
from waterspout.hub.outbox import Outbox, publish

__all__ = ["Hub", "Outbox", "Subscription", "hub", "publish", "subscribe"]
