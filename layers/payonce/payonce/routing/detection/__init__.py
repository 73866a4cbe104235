"""Judges from the signals whether a route is worse than the other routes of its payment method. Pure."""
