"""Runs over stored files: what comes in, what is kept, what is judged, and the chain of manifests."""
