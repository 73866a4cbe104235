"""Readers of gateway reports and bank statements: bytes in, typed rows out, or ``FileRejected`` and nothing at all."""
