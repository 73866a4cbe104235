"""The API's operations that take an idempotency key, as ``payonce.entrypoints.routes`` declares them.

A test compares the two. The console can't read them there: entrypoints import the console.
"""

from __future__ import annotations

KEYED_OPERATIONS = (
    "create_payment", "capture_payment", "confirm_payment", "cancel_payment", "refund_payment", "create_setup",
    "confirm_setup", "cancel_setup", "revoke_payment_method", "create_webhook_endpoint", "update_webhook_endpoint",
    "delete_webhook_endpoint", "rotate_webhook_secret", "test_webhook_endpoint", "redeliver_webhook", "replay_webhooks",
    "comment_on_break", "assign_break", "propose_correction", "approve_correction", "reject_correction",
    "match_breaks", "unmatch_breaks",
)  # fmt: skip
