"""The payment use cases: claim, submit, commit; capture, void, refund; recovery and reads."""
