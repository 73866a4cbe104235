"""The protocol as a TLA+ specification, its checks by TLC, and the steps that it allows."""
