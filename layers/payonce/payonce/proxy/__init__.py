"""The same idempotency in front of any HTTP upstream, in any language: for the proxy function and the sidecar."""
