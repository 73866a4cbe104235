"""Adapters of the matching engine: DuckDB in the process, Spark for what one machine does not hold."""
