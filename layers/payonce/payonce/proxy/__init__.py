"""The same idempotency in front of any HTTP upstream, in any language: for the gateway function and the sidecar."""
