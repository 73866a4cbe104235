"""The operator's command-line interface, one module per family of sub-commands; ``main`` is the entry point."""
