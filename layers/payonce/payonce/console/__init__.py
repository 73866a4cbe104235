"""The console: pages on which a payments team sees what payonce does, and acts on it."""
