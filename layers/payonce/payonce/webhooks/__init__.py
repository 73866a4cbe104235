"""Webhooks: from the outbox to the receiver, and the receiver's own helper (``verify``)."""
