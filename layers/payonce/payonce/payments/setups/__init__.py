"""Set-ups: a payment method is saved without a payment. And the saved methods: their list, and their revocation."""
