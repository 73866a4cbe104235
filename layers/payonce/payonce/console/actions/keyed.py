"""Runs a form's work under the idempotency engine: a form that is sent twice acts once.

The key was made when the form was rendered. The work's claim, its answer and its place in the audit trail are those of
the API's own operation, so that nobody can tell the two apart but by the principal of the console's act.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.domain.errors import BodyMalformed
from payonce.idempotency.fingerprint import canonical_json, fingerprint
from payonce.idempotency.records import KeyedRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.console.page import ActionRequest, Services
    from payonce.idempotency.records import StoredResponse
    from payonce.idempotency.work import Work

WAIT_SECONDS = 5  # for the same form, sent by a second click while the first is at work


def execute(
    services: Services, request: ActionRequest, operation: str, work: Work, body: Mapping[str, str]
) -> StoredResponse:
    """Execute the work once per form, and return its answer, or that of the first time.

    ``operation`` is the API's, and ``body`` what distinguishes one request of this form from another: the same form
    with other fields is refused. Raises ``BodyMalformed`` for a form without a key, and what the engine raises.
    """
    if not request.key:
        raise BodyMalformed("The form has no key. Open the page again, and send the form from there.")
    keyed = KeyedRequest(
        scope=request.require_merchant(),
        operation=operation,
        key=request.key,
        fingerprint=fingerprint(
            "POST", f"console {operation}", request.path_parameters, canonical_json(dict(sorted(body.items())))
        ),
        deadline=request.deadline,
        wait_seconds=WAIT_SECONDS,
    )
    return services.engine.execute(keyed, work).response
