"""Middlewares called directly, with records in memory."""
