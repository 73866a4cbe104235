"""Middlewares in services of each framework, on real servers and stores."""
