"""Corrections: the actions that resolve breaks, each executed at most once."""
