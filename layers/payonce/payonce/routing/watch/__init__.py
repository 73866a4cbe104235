"""Watches each route's latency for people; it changes no route."""
