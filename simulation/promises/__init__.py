"""The promises of the design, as functions with names."""
