"""Corrections: what is done about a break, once."""
