"""One order service in each framework, behind its middleware, and the servers that run it."""
