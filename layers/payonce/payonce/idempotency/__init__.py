"""Idempotency, without knowledge of payments: keys, fingerprints, fenced claims, replays and recovery."""
