"""Matches ledger, gateway and bank rows by the rules, and proves that every row is accounted for."""
