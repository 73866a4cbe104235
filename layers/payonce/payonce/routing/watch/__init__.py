"""Watches each route's latency, approvals and failures for people; it changes no route."""
