"""The event of a bucket, or the schedule's, to what the run is to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from payonce.domain.errors import ConservationViolated, FileRejected, NotFound
from payonce.observability import get_logger
from payonce.reconciliation.runs.stored_policy import POLICY_FILE

if TYPE_CHECKING:
    from payonce.wiring.reconciliation import ReconciliationApplication


def reconcile(application: ReconciliationApplication, event: dict[str, Any], request_id: str) -> dict[str, Any]:
    """Accept the files that the event names, and run unless all of them were refused.

    A new policy is judged by at once, and so found wrong at once. ``request_id`` is the invocation's, which the service
    repeats when it tries an event again: then it is the same run that goes on.

    A refused file is logged with its reason and left where it is: trying it again would change nothing. Raises
    ``StoreUnavailable`` and the like, for which the event is tried again as a whole; what was accepted stays accepted.
    """
    log = get_logger()
    names = [unquote_plus(record["s3"]["object"]["key"]) for record in event.get("Records", [])]
    accepted, refused = [], []
    for name in names:
        if name == POLICY_FILE:
            accepted.append({"file": name, "state": "policy"})
            continue
        try:
            arrival = application.inbox.accept(name)
        except (FileRejected, NotFound) as error:
            log.warning("file refused", extra={"file": name, "reason": error.detail})
            refused.append({"file": name, "reason": error.detail})
            continue
        state = "accepted" if arrival.new else "known"
        log.info("file accepted", extra={"file": name, "file_id": arrival.file.file_id, "state": state})
        accepted.append({"file": name, "file_id": arrival.file.file_id, "state": state})
    if names and not accepted:
        return {"accepted": [], "refused": refused, "run": None}
    # Also for a file that was known: the event may have been cut off after it was accepted and before it was looked at.
    try:
        report = application.reconciliation.run(request_id).to_log()
    except ConservationViolated as error:
        log.error("conservation violated", extra={"reason": error.detail})
        raise
    if report["policy_refused"]:
        extra = {"file": POLICY_FILE, "reason": report["policy_refused"], "in_force": report["policy_id"] or "defaults"}
        log.warning("policy refused", extra=extra)
    log.info("reconciliation run", extra=report)
    return {"accepted": accepted, "refused": refused, "run": report}
