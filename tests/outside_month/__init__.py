"""A month of a merchant's payments, as gateways and banks export it, with planted faults and the truth about them."""
