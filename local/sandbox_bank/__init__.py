"""A sandbox bank: an HTTP server with its own persistent books and every fault of a payment gateway."""
