"""Servers that know nothing of payonce, each in its own process: what proxy function and sidecar stand in front of."""
