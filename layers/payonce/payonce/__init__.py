"""payonce: payments that can't be charged twice."""
