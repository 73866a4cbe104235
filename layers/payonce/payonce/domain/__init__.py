"""Pure domain: money, ids, payments, ledger, events, errors. No I/O, no clock and no randomness of its own."""
