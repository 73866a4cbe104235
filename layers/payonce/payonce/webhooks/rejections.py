"""Why a consumer refuses a webhook: a closed tree of errors. ``Verifier.verify`` raises no others.

::

    WebhookRejected
    ├── HeaderMissing
    ├── HeaderMalformed
    ├── BodyTooLarge
    ├── TimestampOutsideTolerance
    ├── SignatureMismatch
    ├── BodyMalformed                   signed by the sender, but not a JSON object
    ├── Duplicate                       it was handled before: answer 2xx
    └── InProgress                      it is being handled now: answer 503, and the sender comes back
"""

from __future__ import annotations

from payonce.domain.errors import PayonceError


class WebhookRejected(PayonceError):
    """The webhook must not be handled. ``status`` is what to answer; ``detail`` contains neither secret nor body.

    No status is 410: a sender that follows Standard Webhooks would take the endpoint for gone.
    """

    status = 400


class HeaderMissing(WebhookRejected):
    """One of webhook-id, webhook-timestamp and webhook-signature is missing or empty."""


class HeaderMalformed(WebhookRejected):
    """One of the three headers violates the specification, or is repeated with different values."""


class BodyTooLarge(WebhookRejected):
    """The body exceeds the verifier's limit."""

    status = 413


class TimestampOutsideTolerance(WebhookRejected):
    """The webhook is too old or from the future: somebody replays a recorded one, or a clock is wrong."""


class SignatureMismatch(WebhookRejected):
    """None of the keys made a signature: a forged or modified webhook, or the keys are out of date."""

    status = 401


class BodyMalformed(WebhookRejected):
    """The body is not bytes, or not a JSON object."""


class Duplicate(WebhookRejected):
    """The webhook was handled before. Answer 2xx, so that the sender stops."""

    status = 200


class InProgress(WebhookRejected):
    """The webhook is being handled, or its handler died and the lease is running. The sender should come back."""

    status = 503
