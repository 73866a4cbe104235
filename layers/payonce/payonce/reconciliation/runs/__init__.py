"""Reconciliation runs: intake of files, cached rows, the run itself, its policy, and the chain of manifests."""
