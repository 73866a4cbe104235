"""Turns signals into weights and limits, once a second, and runs the leader that does so."""
