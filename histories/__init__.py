"""Histories: concurrent clients against real servers that are killed, and a checker of what the clients saw."""
