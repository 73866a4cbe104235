"""Judges from the signals whether a route is worse than usual and how likely it is to break its SLO. Pure."""
