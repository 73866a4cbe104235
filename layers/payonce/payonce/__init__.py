"""payonce: payments that can't be charged twice."""

__version__ = "0.1.0"
