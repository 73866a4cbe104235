"""Webhooks: delivery from the outbox to the receiver, and the library with which a receiver verifies them."""
