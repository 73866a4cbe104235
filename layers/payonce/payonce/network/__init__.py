"""Adapters that reach webhook receivers over the network."""
