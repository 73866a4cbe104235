"""Worlds of payments with known faults: what a matcher has to find, made by code that knows no matcher.

``compose(seed, per_class)`` makes the world, plants the faults and says what has to be found.
"""
