"""The operator's command, one module for each family of its sub-commands; ``main`` is the entry."""
