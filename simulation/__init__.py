"""A deterministic simulation of payonce: production code as actors, whose every call of a port may be interrupted."""
