"""Fits what the anomaly detector ships as data."""
