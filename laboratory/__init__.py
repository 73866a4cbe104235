"""The laboratory: simulates trouble at gateways and compares payonce's routing with other policies."""
