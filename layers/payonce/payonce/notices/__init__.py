"""Events that gateways post to us: accepted and kept first, then applied as hints to ask the gateway."""
