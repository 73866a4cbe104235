"""Adapters of the gateway port, one per payment gateway."""
