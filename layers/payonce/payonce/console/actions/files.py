"""Uploading a file and handing it in. The function that serves this has the readers' layer; the pages' has not.

Allowed: s3:PutObject and s3:GetObject of uploads/*, s3:PutObject of readings/* and incoming/*, s3:GetObject of
policy/run.toml in ReconciliationBucket, and s3:ListBucket of it; dynamodb:GetItem, PutItem and UpdateItem on
ReconciliationTable with the leading keys UPLOAD#*, dynamodb:PutItem with UPLOADS, dynamodb:GetItem with FILE#* and
POLICY.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from payonce.console.page import Done
from payonce.domain.errors import FileRejected
from payonce.reconciliation.runs.stored_policy import StoredPolicy
from payonce.reconciliation.runs.upload_desk import UploadDesk
from payonce.reconciliation.runs.uploads import UploadState

if TYPE_CHECKING:
    from payonce.console.page import ActionRequest, Services

# A wrong line is left out and the file read again only while so much is left of the request's time.
LEFT_SECONDS: Final = 12


def upload(services: Services, request: ActionRequest) -> Done:
    """Look at a file line by line, and lead to the page that shows it. Idempotent for the same bytes.

    Raises ``BodyTooLarge`` and, without a file, ``FileRejected``. What is wrong with the file is on its page.
    """
    file = request.files.get("file")
    if file is None:
        raise FileRejected("No file was chosen.", field="file")
    looked_at = desk_of(services).look_at(
        file.name,
        file.body,
        by=request.operator.principal,
        may_go_on=lambda: request.deadline.remaining_seconds(services.clock) > LEFT_SECONDS,
    )
    said = {
        UploadState.WRONG: "The file was looked at.",
        UploadState.READABLE: "The file was looked at. Hand it in when it says what it should.",
        UploadState.HANDED_IN: "This file was handed in before.",
    }[looked_at.state]
    return Done(f"/files/{looked_at.file_id}", said)


def accept(services: Services, request: ActionRequest) -> Done:
    """Hand the file in, as it was looked at. Sent twice, the form hands it in once.

    Raises ``NotFound``, and ``FileRejected`` for a file that is wrong, known already, or of no configured gateway.
    """
    file_id = request.path_parameters["file_id"]
    gateway = request.fields.get("gateway", "") or None
    desk_of(services).hand_in(file_id, gateway=gateway, by=request.operator.principal)
    return Done(f"/files/{file_id}", "The file is handed in. The next run accepts it, and compares it.")


def desk_of(services: Services) -> UploadDesk:
    """Return the use case of files that people bring. The policy is only read."""
    policy = StoredPolicy(files=services.files, database=services.database, clock=services.clock, remembers=False)
    return UploadDesk(
        files=services.files,
        database=services.database,
        clock=services.clock,
        gateways=services.settings.gateways,
        policy=lambda: policy.in_force().policy,
    )
