"""The two loops that turn signals into weights and limits, and the leader that runs them."""
