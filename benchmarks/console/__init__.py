"""The console's pages beside few and many payments: ``python -m benchmarks.console``."""
