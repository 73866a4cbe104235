"""What runs beside the stack on a developer's machine: the local cloud, the sandbox bank, the demo."""
