"""A sandbox bank: a real HTTP server with its own persistent books and every bad habit of a payment gateway."""
