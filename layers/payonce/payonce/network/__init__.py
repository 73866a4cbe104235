"""Adapters that reach receivers over the network."""
