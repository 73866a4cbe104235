"""Pure domain: money, ids, payments, ledger, events and errors. Nothing here does I/O, reads a clock or draws randomness."""
