"""A fake of Mollie's Payments API v2, from its public documents. See README.md."""
