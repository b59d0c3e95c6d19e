"""Delivering a message by hand."""

import asyncio


def deliver(hub, topic, message):
    """Give an encoded message to all of its subscribers at once."""
    for subscription in hub._find_audience(topic):
        subscription.deliver_from(asyncio.get_running_loop(), message)
