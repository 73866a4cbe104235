"""Adapters of the matching engine: DuckDB in the process, and Spark for data that exceeds one machine."""
