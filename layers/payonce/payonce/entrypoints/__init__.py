"""The edges: HTTP, the authorizer, the schedule. Each parses its event, calls one use case, and maps the result."""
