"""Verifies webhooks of payonce (Standard Webhooks, v1 and v1a) and handles each once: docs/webhooks-verify.md.

The standard library is enough, but for ed25519 keys, which need the package ``cryptography``.
"""

from __future__ import annotations

from payonce.webhooks.dedupe import handled_once
from payonce.webhooks.dedupe_sqlite import SqliteDedupeStore
from payonce.webhooks.rejections import WebhookRejected
from payonce.webhooks.verify import VerifiedWebhook, Verifier

__all__ = ["SqliteDedupeStore", "VerifiedWebhook", "Verifier", "WebhookRejected", "handled_once"]
