"""Why a consumer refuses a webhook: one closed tree. Nothing else leaves ``Verifier.verify``.

::

    WebhookRejected
    ├── HeaderMissing
    ├── HeaderMalformed
    ├── BodyTooLarge
    ├── TimestampOutsideTolerance
    ├── SignatureMismatch
    ├── BodyMalformed                   signed by the sender, and still no JSON object
    ├── Duplicate                       handled before: answer 2xx
    └── InProgress                      being handled right now: answer 503, the sender comes back
"""

from __future__ import annotations

from payonce.domain.errors import PayonceError


class WebhookRejected(PayonceError):
    """The webhook is not to be handled. ``status`` is what to answer; ``detail`` never holds a secret or the body.

    No status is 410: to a sender of Standard Webhooks that means that the endpoint is gone for good.
    """

    status = 400


class HeaderMissing(WebhookRejected):
    """One of webhook-id, webhook-timestamp and webhook-signature is missing or empty."""


class HeaderMalformed(WebhookRejected):
    """One of the three headers is not what the specification allows, or is there twice with different values."""


class BodyTooLarge(WebhookRejected):
    """The body is over the verifier's limit."""

    status = 413


class TimestampOutsideTolerance(WebhookRejected):
    """The webhook is too old or from the future: a recorded one played again, or a clock that is wrong."""


class SignatureMismatch(WebhookRejected):
    """No signature is by any of the keys: not from the sender, changed on the way, or the keys are out of date."""

    status = 401


class BodyMalformed(WebhookRejected):
    """The body is not bytes, or not a JSON object."""


class Duplicate(WebhookRejected):
    """The webhook was handled before. Answer 2xx: the sender is to stop."""

    status = 200


class InProgress(WebhookRejected):
    """The webhook is being handled right now, or the attempt died and its lease runs. The sender is to come back."""

    status = 503
