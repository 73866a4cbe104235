"""The composition root: the one place where adapters are chosen and wired, one module for each kind of process."""
