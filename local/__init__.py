"""Tools for a developer's machine: the local cloud, the sandbox bank, the demo."""
