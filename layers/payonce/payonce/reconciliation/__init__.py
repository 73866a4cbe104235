"""The self-audit: what the ledger, the gateways and the bank say about the same money."""
