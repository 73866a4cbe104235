"""Exchanges over the network: with webhook receivers, and with AWS's JSON services."""
