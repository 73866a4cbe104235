"""The event of a bucket, or the schedule's, to what the run is to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from payonce.domain.errors import FileRejected, NotFound
from payonce.observability import get_logger

if TYPE_CHECKING:
    from payonce.bootstrap_reconciliation import ReconciliationApplication


def reconcile(application: ReconciliationApplication, event: dict[str, Any]) -> dict[str, Any]:
    """Accept the files that the event names, and run unless none of them is new.

    A refused file is logged with its reason and left where it is: trying it again would change nothing. Raises
    ``StoreUnavailable`` and the like, for which the event is tried again as a whole; what was accepted stays accepted.
    """
    log = get_logger()
    names = [unquote_plus(record["s3"]["object"]["key"]) for record in event.get("Records", [])]
    accepted, refused = [], []
    for name in names:
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
    report = application.reconciliation.run().to_log()
    log.info("reconciliation run", extra=report)
    return {"accepted": accepted, "refused": refused, "run": report}
