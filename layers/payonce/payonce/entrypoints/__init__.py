"""The edges: HTTP, the authorizer, the schedule. They parse, call one use case, and map the result."""
