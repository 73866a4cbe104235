"""Servers that know nothing of payonce, each in its own process: what gateway and sidecar stand in front of."""
