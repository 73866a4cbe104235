"""Maps a bucket's event or the schedule's to a reconciliation run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from payonce.domain.errors import ConservationViolated, FileRejected, NotFound
from payonce.observability import get_logger
from payonce.reconciliation.runs.stored_policy import POLICY_FILE
from payonce.reconciliation.runs.uploads import remember_refusal

if TYPE_CHECKING:
    from payonce.wiring.reconciliation import ReconciliationApplication


def reconcile(application: ReconciliationApplication, event: dict[str, Any], request_id: str) -> dict[str, Any]:
    """Accept the files that the event names, and run unless all of them were refused.

    A new policy is used at once, so that its errors show at once. ``request_id`` is the invocation's id: the service
    repeats it when it retries an event, so the retry continues the same run.

    A refused file is logged and listed with its reason, and left in place: a retry would change nothing. Raises
    ``StoreUnavailable`` and similar errors, for which the whole event is retried; accepted files stay accepted.
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
            remember_refusal(application.database, name, error.detail, application.clock.now_ms())
            continue
        state = "accepted" if arrival.new else "known"
        extra = {"file": name, "file_id": arrival.file.file_id, "state": state}
        if arrival.unproved:
            log.warning("file does not prove itself", extra={**extra, "unproved": list(arrival.unproved)})
        log.info("file accepted", extra=extra)
        accepted.append({"file": name, "file_id": arrival.file.file_id, "state": state})
    if names and not accepted:
        return {"accepted": [], "refused": refused, "run": None}
    # Also for a file that was known: an earlier try may have been cut off between accepting it and looking at it.
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
